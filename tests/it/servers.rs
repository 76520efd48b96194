//! Servers that no simulator of Graph should be: each answers by a function and remembers what came.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Came {
    /// The body's fields, where it is a form.
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

/// Status, further header lines (each with its line end), body.
pub(crate) type Answer = (u16, String, String);

pub(crate) struct Server {
    pub(crate) url: String,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Server {
    /// Answers every request by `answer`, one a connection.
    pub(crate) fn start(answer: impl Fn(&Came) -> Answer + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a loopback port"), answer)
    }

    /// The same on a given port.
    pub(crate) fn on(
        listener: TcpListener,
        answer: impl Fn(&Came) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let came = Arc::new(Mutex::new(Vec::new()));
        let (answer, list) = (Arc::new(answer), Arc::clone(&came));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, list) = (Arc::clone(&answer), Arc::clone(&list));
                thread::spawn(move || {
                    if let Some(request) = read(&stream) {
                        let (status, headers, body) = answer(&request);
                        list.lock().expect("not poisoned").push(request);
                        write(&stream, status, &headers, &body);
                    }
                });
            }
        });
        Self { url, came }
    }

    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.lock().expect("not poisoned").clone()
    }
}

fn read(stream: &TcpStream) -> Option<Came> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut head = String::new();
    loop {
        let before = head.len();
        reader.read_line(&mut head).ok()?;
        if head[before..].trim().is_empty() {
            break;
        }
    }
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
        })
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    (!line.is_empty()).then(|| Came { line: line.trim().to_owned(), head, body })
}

/// A client that went away is no matter.
fn write(mut stream: &TcpStream, status: u16, headers: &str, body: &str) {
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
}

/// The answers of a meeting with an external registration and nobody in it, but for POSTs.
pub(crate) fn meeting(came: &Came) -> Option<Answer> {
    let get = came.line.starts_with("GET ");
    let body = if get && came.line.contains("/registrants") {
        r#"{"value":[]}"#
    } else if get {
        r##"{"@odata.type":"#microsoft.graph.externalMeetingRegistration","id":"r","allowedRegistrant":"everyone"}"##
    } else {
        return None;
    };
    Some((200, String::new(), body.to_owned()))
}

/// The answers of a published webinar for everyone with this form and these registrations, but for
/// POSTs and sessions.
pub(crate) fn webinar(came: &Came, questions: &str, registrations: &str) -> Option<Answer> {
    let ends = |end: &str| came.line.contains(&format!("{end} HTTP"));
    if !came.line.starts_with("GET ") || ends("/sessions") {
        return None;
    }
    let body = if ends("/registrationConfiguration/questions") {
        format!(r#"{{"value":[{questions}]}}"#)
    } else if ends("/registrationConfiguration") {
        r#"{"capacity":500,"isWaitlistEnabled":false,"isManualApprovalEnabled":false}"#.to_owned()
    } else if ends("/registrations") {
        format!(r#"{{"value":[{registrations}]}}"#)
    } else {
        r#"{"id":"w","status":"published","audience":"everyone"}"#.to_owned()
    };
    Some((200, String::new(), body))
}
