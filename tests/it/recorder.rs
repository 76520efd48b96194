//! What the program really sends: a forwarder on a loopback port that keeps every request.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use serde_json::Value;

/// One request, as it was on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Sent {
    /// The only value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is sent twice");
        value
    }

    /// The body as JSON; `None` where there is none.
    pub(crate) fn json(&self) -> Option<Value> {
        (!self.body.is_empty()).then(|| serde_json::from_slice(&self.body).expect("JSON"))
    }
}

type Streams = Arc<Mutex<Vec<Arc<Mutex<Vec<u8>>>>>>;

/// Forwards to a server and remembers what was sent to it.
pub(crate) struct Recorder {
    url: String,
    streams: Streams,
}

impl Recorder {
    /// Forwards to the server at `url`. Its thread ends with the test's process.
    pub(crate) fn before(url: &str) -> Self {
        let upstream = url.strip_prefix("http://").expect("plain HTTP").to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let streams = Streams::default();
        let kept = Arc::clone(&streams);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let stream = Arc::new(Mutex::new(Vec::new()));
                lock(&kept).push(Arc::clone(&stream));
                let server = TcpStream::connect(&upstream).expect("the simulator listens");
                let (back, front) = (both(&server), both(&client));
                thread::spawn(move || forward(client, server, |bytes| lock(&stream).extend(bytes)));
                thread::spawn(move || forward(back, front, |_| ()));
            }
        });
        Self { url, streams }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Everything that was sent, connection by connection.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        lock(&self.streams).iter().flat_map(|stream| parse(&lock(stream))).collect()
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn both(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a socket can be cloned")
}

/// Copies until either side ends. What is forwarded was kept before, so a request that was answered
/// is in the record.
fn forward(mut from: TcpStream, mut to: TcpStream, mut keep: impl FnMut(&[u8])) {
    let mut block = [0; 1 << 14];
    let mut copy = || -> io::Result<bool> {
        let count = from.read(&mut block)?;
        keep(&block[..count]);
        to.write_all(&block[..count])?;
        Ok(count > 0)
    };
    while copy().unwrap_or(false) {}
    let _ = to.shutdown(Shutdown::Write);
}

/// The requests of one connection (HTTP/1.1: head, then as many bytes as `content-length` says).
fn parse(mut bytes: &[u8]) -> Vec<Sent> {
    let mut sent = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is ASCII");
        let mut lines = head.split("\r\n");
        let mut first = lines.next().expect("a request line").split(' ');
        let mut word = || first.next().expect("method, target, version").to_owned();
        let (method, target) = (word(), word());
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").expect("name and value"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse().expect("a number"));
        let (body, rest) = bytes[end + 4..].split_at(length);
        sent.push(Sent { method, target, headers, body: body.to_vec() });
        bytes = rest;
    }
    sent
}
