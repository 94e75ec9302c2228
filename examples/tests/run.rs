//! Starts each example as a separate process and sends requests over real sockets.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(30);
const AGENT: &str = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11";

/// A running example, stopped when it is dropped, also after a panic of the test.
struct Example {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Example {
    fn start(name: &str) -> Self {
        Self::run(&program(name), &["0"])
    }

    fn run(program: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{}: {error}; `cargo build --examples` builds it",
                    program.display()
                )
            });
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self { process, lines }
    }

    /// The next line that it prints with this beginning.
    fn line(&self, beginning: &str) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .expect("the example still prints lines");
            if line.starts_with(beginning) {
                return line;
            }
        }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The reference server's program, which is already built only if the whole workspace is tested.
fn server() -> PathBuf {
    let program = program("").join("../session-auth-server");
    if !program.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--package", "session-auth-server"]);
        assert!(cargo.status().unwrap().success());
    }
    program
}

/// Examples lie beside the folder of the tests' programs.
fn program(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    profile
        .join("examples")
        .join(name)
        .with_extension(env::consts::EXE_EXTENSION)
}

/// The request of a printed line `curl … -H 'NAME: VALUE' http://ADDRESS/PATH`.
struct Curl {
    header: String,
    address: String,
    path: String,
}

impl Curl {
    fn parse(line: &str) -> Self {
        let (_, rest) = line.split_once("-H '").unwrap();
        let (header, rest) = rest.split_once("' http://").unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        Self {
            header: header.to_owned(),
            address: address.to_owned(),
            path: format!("/{path}"),
        }
    }

    /// The whole answer to a GET with this header line, which may be empty.
    fn get(&self, header: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let header = if header.is_empty() {
            String::new()
        } else {
            format!("{header}\r\n")
        };
        let Self { address, path, .. } = self;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn only_the_printed_token_passes(name: &str) {
    let example = Example::start(name);
    let curl = Curl::parse(&example.line("curl "));

    let accepted = curl.get(&curl.header);
    assert!(accepted.starts_with("HTTP/1.1 200 "), "{accepted}");
    assert!(accepted.contains(AGENT), "{accepted}");

    let missing = curl.get("");
    let forged = curl.get(&curl.header.replace("v4.public.ey", "v4.public.eY"));
    for (answer, says_error) in [(missing, false), (forged, true)] {
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(
            answer.contains("content-type: application/problem+json"),
            "{answer}"
        );
        assert!(answer.contains("www-authenticate: Bearer realm="), "{answer}");
        assert!(answer.contains("\"code\":\"INVALID_TOKEN\""), "{answer}");
        assert_eq!(answer.contains("error=\"invalid_token\""), says_error, "{answer}");
        assert!(!answer.contains(AGENT), "{answer}");
    }
}

#[test]
fn axum_api() {
    only_the_printed_token_passes("axum_api");
}

#[test]
fn hyper_api() {
    only_the_printed_token_passes("hyper_api");
}

#[test]
fn verify_only() {
    only_the_printed_token_passes("verify_only");
    let example = Example::start("verify_only");
    let line = example.line("This service cannot sign");
    assert!(line.contains("not a PASERK k4.secret key"), "{line}");
}

#[test]
fn tonic_api() {
    let mut example = Example::start("tonic_api");
    let without = example.line("Without a token");
    assert!(without.contains("Unauthenticated: INVALID_TOKEN"), "{without}");
    let with = example.line("With the session's token");
    assert!(with.ends_with(": Serving"), "{with}");
    assert!(example.process.wait().unwrap().success());
}

/// The program of the crate `mounted-api`, which is outside of the workspace.
fn mounted_api_program() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("mounted-api/Cargo.toml");
    let target = program("").ancestors().nth(2).unwrap().join("mounted-api");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(manifest);
    cargo.arg("--target-dir").arg(&target);
    assert!(cargo.status().unwrap().success());
    target
        .join("debug/mounted-api")
        .with_extension(env::consts::EXE_EXTENSION)
}

/// The address of the example `mounted-api`.
struct MountedApi {
    address: String,
}

impl MountedApi {
    const PASSWORD: &str = "X-Master-Password: correct horse battery staple";

    fn ask(&self, method: &str, target: &str, header: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let Self { address } = self;
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{header}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// The text between two others.
fn between<'a>(answer: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = answer
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start} in {answer}"));
    rest.split_once(end).unwrap().0
}

#[track_caller]
fn answers(answer: &str, status: u16, parts: &[&str]) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    for part in parts {
        assert!(answer.contains(part), "no {part} in {answer}");
    }
}

#[test]
fn mounted_api() {
    let hash = hash_of("correct horse battery staple");
    let example = Example::run(&mounted_api_program(), &["0", &hash]);
    let line = example.line("Listening on http://");
    let api = MountedApi {
        address: line.replace("Listening on http://", ""),
    };
    let password = MountedApi::PASSWORD;

    let agent = api.ask("POST", "/auth/v1/agents", password, r#"{"name":"demo"}"#);
    answers(&agent, 201, &["x-request-id: "]);
    let agent = between(&agent, "\"id\":\"", "\"");
    let request = format!(r#"{{"agentId":"{agent}"}}"#);
    let opened: Vec<String> = (0..2)
        .map(|_| api.ask("POST", "/auth/v1/sessions", password, &request))
        .collect();
    answers(&opened[0], 201, &[]);
    let [older, newer] = [0, 1].map(|place| between(&opened[place], "\"id\":\"", "\""));
    let token = between(&opened[1], "\"token\":\"", "\"");
    let token = format!("Authorization: Bearer {token}");

    answers(&api.ask("GET", "/hello", &token, ""), 200, &[agent]);
    answers(
        &api.ask("GET", "/hello", "X-None: 1", ""),
        401,
        &["INVALID_TOKEN"],
    );
    let renewal = format!("/auth/v1/sessions/{newer}/renew");
    let early = api.ask("PUT", &renewal, &token, "");
    answers(&early, 403, &["RENEWAL_TOO_EARLY"]);

    // Newest first. The link is relative to the request, so it is valid below the prefix.
    let list = "/auth/v1/sessions";
    let page = api.ask("GET", &format!("{list}?limit=1"), password, "");
    answers(&page, 200, &["link: <?limit=1&cursor=", newer]);
    let next = between(&page, "link: <", ">; rel=\"next\"");
    answers(
        &api.ask("GET", &format!("{list}{next}"), password, ""),
        200,
        &[older],
    );

    let revoked = api.ask("DELETE", &format!("{list}/{newer}"), password, "");
    answers(&revoked, 200, &["REVOKED"]);
    answers(&api.ask("GET", "/hello", &token, ""), 401, &["SESSION_REVOKED"]);
}

#[test]
fn main_of_mounted_api_has_at_most_25_lines() {
    let source = include_str!("../mounted-api/src/main.rs");
    let main = between(
        source,
        "async fn main() -> Result<(), Box<dyn Error>> {\n",
        "\n}\n",
    );
    assert!(main.lines().count() + 2 <= 25, "{main}");
}

/// The hash that the reference server's command prints.
fn hash_of(password: &str) -> String {
    let mut hash = Command::new(server())
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(hash.stdin.take().unwrap(), "{password}").unwrap();
    String::from_utf8(hash.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn tonic_client() {
    let mut example = Example::start("tonic_client");
    for (when, outcome) in [
        ("With the session's token", "Serving"),
        ("With the replaced token", "Unauthenticated"),
        ("With the adopted token", "Serving"),
        ("After the revocation", "the session was revoked"),
    ] {
        assert_eq!(example.line(when), format!("{when}: {outcome}"));
    }
    assert!(example.process.wait().unwrap().success());
}

#[test]
fn agent_client() {
    let server = Example::run(&server(), &["--listen", "127.0.0.1:0", "--min-ttl", "6"]);
    let base = server.line("BASE=").replace("BASE=", "");
    let password = server.line("PASSWORD=").replace("PASSWORD=", "");
    let mut example = Example::run(&program("agent_client"), &[&base, &password]);
    let last = example.line("Renewal 10: ");
    assert!(!last.contains(" 0 answers were dropped"), "{last}");
    let over = example.line("Session over");
    assert_eq!(over, "Session over: the session was revoked.");
    assert!(example.process.wait().unwrap().success());
}
