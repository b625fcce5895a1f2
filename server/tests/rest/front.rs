//! A front before MinIO: it passes requests on, answers in its place, holds them back, or cuts the connection once
//! MinIO has done what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// What it does with requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Pass,
    /// Answers with this status and this code of S3's.
    Refuse(u16, &'static str),
    /// Waits for another mood.
    Hold,
    /// The answer to a manifest's create is lost.
    LoseCreates,
}

/// One of them; it ends with the process.
pub struct Front {
    pub url: String,
    state: Arc<State>,
}

struct State {
    mood: Mutex<Mood>,
    changed: Condvar,
    seen: Mutex<Seen>,
}

/// What came of the requests.
#[derive(Default)]
pub struct Seen {
    /// By path, how often MinIO created a manifest there.
    pub created: BTreeMap<String, usize>,
    /// Answers that were lost after that.
    pub lost: usize,
    /// Requests that were held back.
    pub held: usize,
}

impl Front {
    /// Before a server at this URL.
    pub fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let front = format!("http://{}", listener.local_addr().expect("an address"));
        let to = url.strip_prefix("http://").expect("no TLS").to_owned();
        let state =
            Arc::new(State { mood: Mutex::new(Mood::Pass), changed: Condvar::new(), seen: Mutex::default() });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (to, state) = (to.clone(), Arc::clone(&shared));
                // One that fails is a connection cut, which its client has to live with.
                std::thread::spawn(move || state.serve(client?, &to));
            }
        });
        Front { url: front, state }
    }

    pub fn mood(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
        self.state.changed.notify_all();
    }

    pub fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.state.seen.lock().unwrap())
    }
}

impl State {
    /// One request a connection.
    fn serve(&self, mut client: TcpStream, to: &str) -> Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(Error::other)?;
            }
            head.push(line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = head.first().map(|line| line.split(' ')).into_iter().flatten();
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_create = method == "PUT" && path.contains("/manifests/");
        let mood = *self.mood.lock().unwrap();
        if mood == Mood::Hold {
            self.seen.lock().unwrap().held += 1;
            drop(self.changed.wait_while(self.mood.lock().unwrap(), |mood| *mood == Mood::Hold));
        }
        if let Mood::Refuse(status, code) = mood {
            let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} No\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            return client.write_all((head + &body).as_bytes());
        }
        let mut upstream = TcpStream::connect(to)?;
        upstream.write_all(format!("{}connection: close\r\n\r\n", head.concat()).as_bytes())?;
        upstream.write_all(&body)?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer)?;
        if is_create && answer.starts_with(b"HTTP/1.1 200 ") {
            let mut seen = self.seen.lock().unwrap();
            *seen.created.entry(path.to_owned()).or_default() += 1;
            if mood == Mood::LoseCreates {
                seen.lost += 1;
                return client.shutdown(Shutdown::Both);
            }
        }
        client.write_all(&answer)
    }
}
