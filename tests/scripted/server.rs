//! A tiny HTTP/1.1 server that gives canned answers in order and keeps the requests. Knows
//! nothing of S3.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method and target.
    pub line: String,
    /// Everything before the body, in lower case names.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What to do with one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These bytes, then close.
    Bytes(String),
    /// Close without a byte.
    Drop,
    /// These bytes, then nothing for a minute.
    Stall(String),
}

/// An answer with a right length.
pub fn answer(status: u16, headers: &str, body: &str) -> Answer {
    Answer::Bytes(text(status, headers, body.len(), body))
}

/// An answer whose body may be shorter than it says.
pub fn text(status: u16, headers: &str, len: usize, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {len}\r\n{headers}\r\n{body}"
    )
}

pub struct Scripted {
    pub endpoint: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Scripted {
    /// Gives these answers in order, then 500 to every further request.
    pub async fn start(script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(VecDeque::from(script)));
        let kept = received.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), kept.clone()));
            }
        });
        Self { endpoint, received }
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<Mutex<VecDeque<Answer>>>,
    received: Arc<Mutex<Vec<Received>>>,
) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    let next = {
        received.lock().unwrap().push(request);
        script.lock().unwrap().pop_front()
    };
    match next.unwrap_or_else(|| answer(500, "", "")) {
        Answer::Bytes(text) => drop(stream.write_all(text.as_bytes()).await),
        Answer::Drop => {}
        Answer::Stall(text) => {
            drop(stream.write_all(text.as_bytes()).await);
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let len = headers.iter().find(|(name, _)| name == "content-length");
    let len: usize = len.map_or(0, |(_, len)| len.parse().unwrap());
    let mut body = bytes.split_off(head + 4);
    while body.len() < len {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received {
        line,
        headers,
        body,
    })
}
