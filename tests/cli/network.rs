//! What the program asks the network for, and whom it believes, by its options and variables: a
//! child process behind a proxy that keeps what it was asked. Knows nothing of S3.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// A server that keeps the head of each request and refuses all but those it has an answer to.
pub struct Refusing {
    pub address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

/// The body for a request's first line.
type Answers = fn(&str) -> Option<&'static str>;

impl Refusing {
    pub fn start() -> Self {
        Self::start_but_for(|_| None)
    }

    pub fn start_but_for(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, answers, &kept);
            }
        });
        Self { address, heads }
    }

    /// The different first lines, sorted.
    pub fn asked(&self) -> Vec<String> {
        let heads = self.heads();
        let lines: BTreeSet<&str> = heads
            .iter()
            .filter_map(|head| head.lines().next())
            .collect();
        lines.into_iter().map(str::to_owned).collect()
    }

    /// Every head, in order.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("nobody panics").clone()
    }
}

/// Keeps the head before it is answered: whoever has the answer may look for it at once.
fn answer(mut stream: TcpStream, answers: Answers, heads: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let (status, body) = match answers(head.lines().next()?) {
        Some(body) => (200, body),
        None => (403, "<Error><Code>AccessDenied</Code></Error>"),
    };
    heads.lock().expect("nobody panics").push(head);
    let len = body.len();
    // What the token of an instance's metadata has to say of itself.
    let lifetime = "x-aws-ec2-metadata-token-ttl-seconds: 60";
    let answer = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\n{lifetime}\r\ncontent-length: {len}\r\n\r\n"
    );
    stream.write_all((answer + body).as_bytes()).ok()
}

/// What a mount that is refused says on stderr.
fn mount(source: &str, options: &str, variables: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_s3fs"));
    command.env_clear().env("HOME", dir.path());
    command.env("AWS_ACCESS_KEY_ID", "id");
    command.env("AWS_SECRET_ACCESS_KEY", "secret");
    command.envs(variables.iter().copied());
    command.args([source, dir.path().to_str().expect("ASCII"), "-f"]);
    if !options.is_empty() {
        command.args(["-o", options]);
    }
    let output = command.output().expect("the program runs");
    assert_eq!(
        output.status.code(),
        Some(32),
        "{source} {options}: {output:?}"
    );
    String::from_utf8(output.stderr).expect("messages are text")
}

#[test]
fn options_and_sources_choose_among_the_endpoints_of_aws() {
    let arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap";
    let rows = [
        ("bkt", "", "bkt.s3.us-west-2.amazonaws.com"),
        (
            "bkt",
            "dual_stack",
            "bkt.s3.dualstack.us-west-2.amazonaws.com",
        ),
        ("bkt", "fips", "bkt.s3-fips.us-west-2.amazonaws.com"),
        (
            "bkt",
            "dual_stack,fips",
            "bkt.s3-fips.dualstack.us-west-2.amazonaws.com",
        ),
        ("bkt", "accelerate", "bkt.s3-accelerate.amazonaws.com"),
        (
            arn,
            "",
            "ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com",
        ),
        (
            "b--usw2-az1--x-s3",
            "",
            "b--usw2-az1--x-s3.s3express-usw2-az1.us-west-2.amazonaws.com",
        ),
    ];
    std::thread::scope(|scope| {
        for (source, options, host) in rows {
            scope.spawn(move || {
                let proxy = Refusing::start();
                let url = format!("http://{}", proxy.address);
                let variables = [("HTTPS_PROXY", &*url), ("AWS_REGION", "us-west-2")];
                mount(source, options, &variables);
                let line = format!("CONNECT {host}:443 HTTP/1.1");
                assert_eq!(proxy.asked(), [line], "{source} {options}");
            });
        }
    });
}

#[test]
fn the_proxy_of_the_usual_variables_is_asked_but_for_no_proxy() {
    let endpoint = "url=http://made-up.invalid,use_path_request_style,region=r";
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let proxy = Refusing::start();
        let url = format!("http://{}", proxy.address);
        let said = mount("bkt", endpoint, &[(variable, &url)]);
        let asked = proxy.asked();
        let line = asked.first().map_or("", String::as_str);
        assert!(
            line.starts_with("GET http://made-up.invalid/bkt"),
            "{variable}: {asked:?}"
        );
        assert!(said.contains("access denied"), "{variable}: {said}");
    }
    let proxy = Refusing::start();
    let url = format!("http://{}", proxy.address);
    let variables = [("http_proxy", &*url), ("no_proxy", "made-up.invalid")];
    mount("bkt", endpoint, &variables);
    assert_eq!(proxy.asked(), [""; 0]);
}

#[test]
fn a_refused_mount_says_which_permission_is_missing() {
    let store = Refusing::start();
    let said = mount(
        "bkt",
        &format!("url=http://{},region=r", store.address),
        &[],
    );
    assert!(said.contains("s3:ListBucket on the bucket"), "{said}");
}

#[test]
fn options_that_cannot_be_together_are_refused_by_name() {
    let arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap";
    let rows = [
        ("bkt", "url=http://127.0.0.1:1,dual_stack", "dual_stack"),
        ("bkt", "url=http://127.0.0.1:1,fips", "fips"),
        ("bkt", "url=http://127.0.0.1:1,accelerate", "accelerate"),
        ("a.b", "accelerate", "accelerate"),
        (arn, "accelerate", "accelerate"),
        (arn, "use_path_request_style", "use_path_request_style"),
        (
            "b--usw2-az1--x-s3",
            "use_path_request_style",
            "use_path_request_style",
        ),
        ("b--usw2-az1--x-s3", "tags=a=b", "tags"),
        ("b--usw2-az1--x-s3", "acl=private", "acl"),
        (
            "b--usw2-az1--x-s3",
            "storage_class=STANDARD_IA",
            "storage_class",
        ),
        (
            "bkt",
            "provider=oss,url=http://127.0.0.1:1,use_path_request_style",
            "host name only",
        ),
        ("a.b", "provider=oss,url=http://127.0.0.1:1", "\"a.b\""),
    ];
    for (source, options, part) in rows {
        let said = mount(source, options, &[("AWS_REGION", "us-west-2")]);
        assert!(said.contains(part), "{source} {options}: {said}");
        assert!(
            !said.contains("attempts"),
            "{source} {options} was tried: {said}"
        );
    }
}

/// A certificate for `localhost`, in PEM, and the server's side of it.
fn certificate() -> (String, Arc<tokio_rustls::rustls::ServerConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key");
    let key = made.signing_key.serialize_der().try_into().expect("a key");
    let config = tokio_rustls::rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate");
    (made.cert.pem(), Arc::new(config))
}

/// Refuses all, over TLS; returns the port.
fn refusing_over_tls(config: Arc<tokio_rustls::rustls::ServerConfig>) -> u16 {
    use tokio_rustls::rustls::{ServerConnection, StreamOwned};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut stream = StreamOwned::new(session, stream);
            let body = "<Error><Code>AccessDenied</Code></Error>";
            let len = body.len();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            let answer =
                format!("HTTP/1.1 403 X\r\nconnection: close\r\ncontent-length: {len}\r\n\r\n");
            drop(stream.write_all((answer + body).as_bytes()));
            stream.conn.send_close_notify();
            drop(stream.flush());
        }
    });
    port
}

#[test]
fn certificates_are_believed_that_the_variable_or_the_profile_names() {
    let (pem, config) = certificate();
    let (other, _) = certificate();
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path.to_str().expect("ASCII").to_owned()
    };
    // Several in a file, and text between them.
    let bundle = file("bundle", &format!("{other}some words\n{pem}"));
    let strangers = file("other", &other);
    let profile = file("config", &format!("[default]\nca_bundle = {bundle}\n"));
    let url = format!(
        "url=https://localhost:{},use_path_request_style,region=r",
        refusing_over_tls(config)
    );
    let said = mount("bkt", &url, &[("AWS_CA_BUNDLE", &bundle)]);
    assert!(said.contains("access denied"), "{said}");
    let said = mount("bkt", &url, &[("AWS_CONFIG_FILE", &profile)]);
    assert!(said.contains("access denied"), "{said}");
    let said = mount("bkt", &url, &[("AWS_CA_BUNDLE", &strangers)]);
    assert!(
        said.contains("certificate") && said.contains("no answer"),
        "{said}"
    );
}

#[test]
fn a_file_of_certificates_without_any_is_refused_by_its_name_and_the_variables() {
    let dir = tempfile::tempdir().expect("a directory");
    let (pem, _) = certificate();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let rows = [
        ("absent", None, "No such file"),
        ("empty", Some(String::new()), "no certificate"),
        ("key", Some("hunter2".to_owned()), "no certificate"),
        ("broken", Some(pem + broken), "certificate 2"),
    ];
    for (name, content, why) in rows {
        let path = dir.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).expect("a file");
        }
        let path = path.to_str().expect("ASCII");
        let said = mount("bkt", "region=r", &[("AWS_CA_BUNDLE", path)]);
        let named = said.contains("AWS_CA_BUNDLE") && said.contains(path);
        assert!(named && said.contains(why), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
