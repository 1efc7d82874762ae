//! A forwarder in front of a store that counts what is asked: the same measure for any server.
//! Knows HTTP/1.1 and no S3.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Sub;
use std::sync::{Arc, Mutex};

use crate::access::Access;

/// Parameters that name no operation: the client library's own.
const NOT_TELLING: [&str; 1] = ["x-id"];

/// How often each operation was asked for. An operation is its method, its bucket and key, the
/// names of the query's parameters, and whether there is a source to copy from.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Requests(BTreeMap<String, u64>);

impl Sub for Requests {
    type Output = Self;

    fn sub(mut self, earlier: Self) -> Self {
        for (operation, count) in earlier.0 {
            *self.0.entry(operation).or_default() -= count;
        }
        self.0.retain(|_, count| *count > 0);
        self
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.iter().map(|(name, count)| format!("{count} {name}"));
        f.write_str(&counts.collect::<Vec<_>>().join("\n  "))
    }
}

/// A store as seen through the forwarder, which runs until the test process ends.
pub struct Counted {
    access: Access,
    requests: Arc<Mutex<Requests>>,
}

impl Counted {
    pub fn new(store: &Access) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let to: SocketAddr = store.url["http://".len()..].parse().unwrap();
        let requests = Arc::default();
        let counts = Arc::clone(&requests);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let counts = Arc::clone(&counts);
                // A connection that breaks is the client's to see.
                std::thread::spawn(move || forward(client, to, &counts));
            }
        });
        let access = Access {
            url: format!("http://{address}"),
            ..store.clone()
        };
        Self { access, requests }
    }

    /// How the store is reached through the forwarder.
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// What was asked so far.
    pub fn requests(&self) -> Requests {
        self.requests.lock().unwrap().clone()
    }
}

fn forward(client: TcpStream, to: SocketAddr, counts: &Mutex<Requests>) -> io::Result<()> {
    let mut server = TcpStream::connect(to)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut answers, mut answered) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let copied = io::copy(&mut answers, &mut answered);
        answered.shutdown(std::net::Shutdown::Both).and(copied)
    });
    let mut client = BufReader::new(client);
    while let Some(head) = head(&mut client)? {
        let mut lines = head.lines();
        let operation = operation(lines.next().unwrap_or(""), &head);
        *counts.lock().unwrap().0.entry(operation).or_default() += 1;
        server.write_all(head.as_bytes())?;
        let length = header(&head, "content-length").and_then(|length| length.parse().ok());
        io::copy(&mut (&mut client).take(length.unwrap_or(0)), &mut server)?;
    }
    server.shutdown(std::net::Shutdown::Write)
}

/// A request up to the empty line; `None` at the end of the connection.
fn head(client: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    while client.read_line(&mut head)? > 0 {
        if head.ends_with("\r\n\r\n") {
            assert!(
                header(&head, "transfer-encoding").is_none(),
                "the body's length is not known:\n{head}"
            );
            return Ok(Some(head));
        }
    }
    Ok(None)
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut pairs = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let found = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}

fn operation(first_line: &str, head: &str) -> String {
    let mut words = first_line.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut names: Vec<&str> = query
        .split('&')
        .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
        .filter(|name| !name.is_empty() && !NOT_TELLING.contains(name))
        .collect();
    names.sort_unstable();
    let mut words = vec![method, path];
    words.extend(names);
    words.extend(header(head, "x-amz-copy-source").map(|_| "copy"));
    words.join(" ")
}
