//! The README and the other pages for readers: their Rust blocks compile, their shell commands run, their tables agree with the
//! code, and their links resolve.

mod blocks;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use http::Method;
use session_auth_server::config::{Config, Settings};
use session_auth_tests::{
    folder::Folder,
    server::{PASSWORD, TestServer, cheap_hash},
};
use tokio::net::TcpListener;
use tower_session_auth::{ErrorKind, clock::SystemClock};

const README: &str = include_str!("../../README.md");
const GETTING_STARTED: &str = include_str!("../../docs/getting-started.md");
const HTTP_API: &str = include_str!("../../docs/http-api.md");
const ERRORS: &str = include_str!("../../docs/errors.md");
const REDIS: &str = include_str!("../../docs/redis.md");
const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");

/// The content of the blocks in this language.
pub(crate) fn blocks_in(page: &str, language: &str) -> Vec<String> {
    let start = format!("```{language}\n");
    let blocks = page.split(start.as_str()).skip(1);
    blocks
        .filter_map(|rest| rest.split("```").next())
        .map(str::to_owned)
        .collect()
}

/// The cells of the table rows that begin with a code span. The backticks of the first cell are removed.
fn rows(page: &str) -> Vec<Vec<String>> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells = row.trim_matches('|').split('|');
        cells
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    })
    .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All pages, with their paths from the root of the repository.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ]
    .map(PathBuf::from)
    .into();
    paths.push("tests/bench/README.md".into());
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        paths.push(Path::new("docs").join(entry.unwrap().file_name()));
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn readme_has_at_most_150_lines() {
    assert!(README.lines().count() <= 150);
}

#[test]
fn every_rust_block_is_compiled() {
    // Ignores what rustfmt changes: white space, and a comma before a closing bracket.
    let dense = |text: &str| {
        let text: String = text.split_whitespace().collect();
        text.replace(",}", "}").replace(",)", ")")
    };
    let compiled = dense(include_str!("readme/blocks.rs"));
    let mut count = 0;
    for (path, page) in pages() {
        for block in blocks_in(&page, "rust") {
            let path = path.display();
            assert!(
                compiled.contains(&dense(&block)),
                "not in readme/blocks.rs, from {path}:\n{block}"
            );
            count += 1;
        }
    }
    assert_eq!(count, 12);
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    for (path, page) in pages() {
        for target in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("https://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let page = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let place = root().join(page);
            assert!(place.exists(), "{}: {target}", path.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&place).unwrap();
                assert!(anchors(&text).contains(heading), "{}: {target}", path.display());
            }
        }
    }
}

/// The anchors that GitHub gives to the headings of a page.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_source_file_in_architecture_exists() {
    let words = ARCHITECTURE.split(|character: char| character.is_whitespace() || "`(),".contains(character));
    let files = words.filter(|word| word.ends_with(".rs") || word.ends_with(".lua"));
    let mut count = 0;
    for file in files {
        let mut folders = ["", "middleware/src", "reference-server/src"].iter();
        assert!(
            folders.any(|folder| root().join(folder).join(file).exists()),
            "{file}"
        );
        count += 1;
    }
    assert!(count > 20, "{count}");
}

#[test]
fn errors_page_lists_every_code_with_its_status() {
    let codes = ERRORS.split("\n## Reasons").next().unwrap();
    let rows = rows(codes);
    let documented: Vec<_> = rows
        .iter()
        .map(|row| {
            let status = row[1].split(',').next().unwrap().parse::<u16>().unwrap();
            (row[0].as_str(), status, row[2] == "yes")
        })
        .collect();
    let defined: Vec<_> = ErrorKind::ALL
        .iter()
        .map(|kind| (kind.code(), kind.status().as_u16(), kind.retryable()))
        .collect();
    assert_eq!(documented, defined);
}

#[test]
fn redis_page_has_the_access_rights_of_the_layout() {
    let layout = include_str!("../../middleware/src/store/redis/LAYOUT.md");
    let rights = REDIS
        .lines()
        .find(|line| line.starts_with("ACL SETUSER"))
        .unwrap();
    assert!(layout.contains(rights), "{rights}");
}

#[tokio::test]
async fn every_documented_request_has_a_route_that_demands_its_credentials() {
    let published = |settings: &mut Settings| settings.resource_url = Some("https://api.example".to_owned());
    let server = TestServer::memory_with(published).await;
    let requests = rows(HTTP_API).into_iter().filter(|row| row[0].contains(" /"));
    let mut count = 0;
    for row in requests {
        let request = row[0].replace("any method, /v1/auth and every path below it", "PATCH /v1/auth/x");
        let (method, path) = request.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let path = path.replace("{id}", "0190f3a1-7c1e-7d2a-9b3c-4d5e6f709b1f");
        let reply = server.api.anonymous(method, &path).await;
        match row[1].as_str() {
            // RFC 6749, section 5.2.
            _ if path == "/v1/introspect" => assert_eq!(reply.body["error"], "invalid_client", "{row:?}"),
            _ if path == "/v1/revoke" => assert_eq!(reply.body["error"], "invalid_request", "{row:?}"),
            "none" => assert_eq!(reply.status, 200, "{row:?}"),
            credentials if credentials.starts_with("administrator: ") => {
                reply.rejected(401, "INVALID_MASTER_PASSWORD")
            }
            _ => reply.rejected(401, "INVALID_TOKEN"),
        }
        count += 1;
    }
    assert_eq!(count, 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walk_through_of_the_readme_runs_as_pasted() {
    let output = run_walk_through("readme", README).await;
    let ends = [
        "\"status\":\"ACTIVE\"",
        "\"status\":\"REVOKED\"",
        "\"code\":\"SESSION_REVOKED\"",
    ];
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), ends.len(), "{output}");
    for (line, end) in lines.iter().zip(ends) {
        assert!(line.contains(end), "{output}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walk_through_of_getting_started_runs_as_pasted() {
    let output = run_walk_through("getting-started", GETTING_STARTED).await;
    assert!(output.contains("\"code\":\"TOKEN_SUPERSEDED\""), "{output}");
    assert!(output.contains("\"code\":\"SESSION_REVOKED\""), "{output}");
}

/// Runs the commands of a page for a server on port 3100, with a server that is configured as the page says. Returns the output.
async fn run_walk_through(name: &str, page: &str) -> String {
    let settings = Settings {
        master_password_hash: Some(cheap_hash()),
        min_ttl: Some(4),
        ..Settings::default()
    };
    let config = Config::resolve(settings).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let forever = std::future::pending();
    let (_, reloads) = tokio::sync::mpsc::channel(1);
    let server = tokio::spawn(async move {
        session_auth_server::run(
            config,
            Arc::new(SystemClock),
            vec![listener.into()],
            forever,
            reloads,
        )
        .await
    });

    let blocks = blocks_in(page, "sh");
    let block = blocks
        .iter()
        .find(|block| block.contains("BASE=http://127.0.0.1:3100"));
    let script = block
        .unwrap()
        .replace("127.0.0.1:3100", &address.to_string())
        .replace("PASSWORD=choose-a-long-one", &format!("PASSWORD='{PASSWORD}'"));
    let folder = Folder::new(name);
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(script).current_dir(&*folder);
    let output = tokio::task::spawn_blocking(move || shell.output());
    let output = output.await.unwrap().unwrap();
    server.abort();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}
