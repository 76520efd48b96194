"""An import as a script does it, for `cargo bench --bench import` to be held against.

Reads a CSV, POSTs each id to the meeting's registration, checks that the answer holds a link, and
writes ids and links. No ledger, no second try, no pace, no rule: what dies with it is lost.

    python3 aiohttp_import.py people.csv enrolled.csv http://127.0.0.1:PORT
"""

import asyncio
import csv
import os
import sys
import uuid

import aiohttp

CONNECTIONS = int(os.environ.get("CONNECTIONS", "64"))
PATH = "/beta/me/onlineMeetings/P/registration/registrants"


async def enrol(session, url, row):
    body = {
        "@odata.type": "#microsoft.graph.externalMeetingRegistrant",
        "id": row["id"],
    }
    headers = {"client-request-id": str(uuid.uuid4())}
    async with session.post(url, json=body, headers=headers) as answer:
        answer.raise_for_status()
        registrant = await answer.json()
    link = registrant["joinWebUrl"]
    if not link:
        raise ValueError(f"no link for {row['id']}")
    return row["id"], link, registrant["id"]


async def work(session, url, rows, writer):
    for row in rows:  # one iterator for all: each takes the next row
        writer.writerow(await enrol(session, url, row))


async def main(people, enrolled, base):
    headers = {"Authorization": "Bearer a-token", "Accept": "application/json"}
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    with open(people, newline="") as source, open(enrolled, "w", newline="") as target:
        rows = csv.DictReader(source)
        writer = csv.writer(target)
        writer.writerow(["id", "joinWebUrl", "registrantId"])
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
            workers = (work(session, base + PATH, rows, writer) for _ in range(CONNECTIONS))
            await asyncio.gather(*workers)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
