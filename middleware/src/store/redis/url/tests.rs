use super::*;

fn host(name: &str, port: u16) -> Host {
    Host {
        name: name.to_owned(),
        port,
    }
}

fn single_host(name: &str, port: u16) -> Topology {
    Topology::Single(Server::Tcp(host(name, port)))
}

#[test]
fn every_scheme_has_its_topology() {
    for (text, topology, tls, database) in [
        ("redis://localhost", single_host("localhost", 6379), false, 0),
        (" valkey://[::1]:7000/3\n", single_host("::1", 7000), false, 3),
        ("rediss://h/?db=2", single_host("h", 6379), true, 2),
        ("valkeys://h:1", single_host("h", 1), true, 0),
        (
            "unix:///run/r%20edis.sock?db=4",
            Topology::Single(Server::Unix("/run/r edis.sock".into())),
            false,
            4,
        ),
        (
            "redis+cluster://a:7000,b,[::1]:7002",
            Topology::Cluster(vec![host("a", 7000), host("b", 6379), host("::1", 7002)]),
            false,
            0,
        ),
        (
            "rediss+sentinel://a,b:1/main/5",
            Topology::Sentinel {
                sentinels: vec![host("a", 26379), host("b", 1)],
                master: "main".to_owned(),
            },
            true,
            5,
        ),
    ] {
        let url = RedisUrl::parse(text).unwrap();
        assert_eq!(
            (url.topology, url.tls, url.database),
            (topology, tls, database),
            "{text}"
        );
    }
}

#[test]
fn user_name_and_password_are_percent_decoded() {
    for (text, username, password) in [
        ("redis://h", None, None),
        ("redis://:secret@h", None, Some("secret")),
        ("redis://m%40e:p%2Fa%3Ass@h:1/2", Some("m@e"), Some("p/a:ss")),
        ("redis://u:a:b@h", Some("u"), Some("a:b")),
        ("redis+cluster://u:p@a,b", Some("u"), Some("p")),
        ("unix:///s?user=u&pass=p%26", Some("u"), Some("p&")),
    ] {
        let url = RedisUrl::parse(text).unwrap();
        assert_eq!(
            (url.username.as_deref(), url.password.as_deref()),
            (username, password),
            "{text}"
        );
    }
}

#[test]
fn error_says_what_to_write_and_shows_no_secret() {
    for (text, expected) in [
        ("localhost:6379", "write redis://host:6379"),
        ("tcp://h", "the scheme tcp is unknown: write redis://"),
        ("hunter2://h", "known are redis, rediss"),
        ("redis+shards://h", "known are redis, rediss"),
        ("redis://hunter2@h", "a user name needs a password"),
        ("unix:///s?user=hunter2", "a user name needs a password"),
        ("redis://", "the host is missing"),
        ("redis://a,b", "the scheme redis+sentinel"),
        ("redis://:hunter2@h#x", "%23 for #"),
        ("rediss://h/#insecure", "always verified"),
        ("redis://:p@hunter2/hunter2@h", "%2F for /"),
        ("redis://:hunter2?x@h", "%3F for ?"),
        ("redis://:hunter2/1", "the host is missing"),
        ("redis://h:hunter2/1", "a port is a number"),
        ("redis://:hunter%2@h", "% without two hexadecimal digits"),
        ("redis://:%FF@h", "the password is not UTF-8"),
        ("redis://h/hunter2", "the database must be a number"),
        (
            "redis://h?timeout=hunter2",
            "the parameter timeout is unknown: known are db",
        ),
        (
            "redis://h?hunter2",
            "a parameter behind ? is unknown: known are db",
        ),
        ("redis+cluster://a:1,redis://b:2", "its scheme once"),
        (
            "redis+sentinel://u:hunter2@a:1,rediss://u:hunter2@b:2/main",
            "its scheme once",
        ),
        ("redis://h/1?db=2", "given twice"),
        ("redis://h?db=1&db=2", "given twice"),
        ("redis://h:0", "from 1 to 65535"),
        ("redis://::1", "needs brackets"),
        ("redis://[::1", "not closed"),
        ("redis://[::1]6379", "a port follows the bracket"),
        ("redis+sentinel://h", "the name of the master is missing"),
        ("redis+cluster://h/1", "only the database 0"),
        ("unix://socket", "absolute"),
        ("unix://", "absolute"),
    ] {
        let error = RedisUrl::parse(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn debug_output_has_no_credentials() {
    let url = RedisUrl::parse("redis://hunter1:hunter2@h").unwrap();
    assert!(!format!("{url:?}").contains("hunter"));
}
