//! The address of a store as a URL: one server, the master that sentinels name, or a cluster.
//!
//! | URL | meaning |
//! |---|---|
//! | `redis://`, `valkey://`, `unix://` | one server |
//! | `redis+sentinel://host[:port],…/master` | the master that these sentinels name |
//! | `redis+cluster://host[:port],…` | a cluster, which is found from any of these servers |
//!
//! `rediss` and `valkeys` have TLS. No error contains a part of the URL that may be a secret.

mod parts;
#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf};

use self::parts::{Parts, decoded, hosts, number};

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// A parsed URL.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RedisUrl {
    pub(super) topology: Topology,
    pub(super) tls: bool,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: u32,
}

/// Which servers hold the data, and how they are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Topology {
    Single(Server),
    Sentinel { sentinels: Vec<Host>, master: String },
    Cluster(Vec<Host>),
}

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Server {
    Tcp(Host),
    Unix(PathBuf),
}

/// A host name or an IP address, without brackets, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

impl RedisUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// A sentence that says what to write. It contains no part of the user name, password or unknown values.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts = Parts::split(text.trim())?;
        let (family, kind) = match parts.scheme.split_once('+') {
            Some((family, kind)) => (family, Some(kind)),
            None => (parts.scheme, None),
        };
        let tls = match family {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            "unix" if kind.is_none() => return unix(&parts),
            _ => return Err(unknown_scheme(parts.scheme)),
        };
        let (path, topology) = match kind {
            None => (parts.path, single(parts.hosts)?),
            Some("cluster") => (parts.path, Topology::Cluster(hosts(parts.hosts, PORT)?)),
            Some("sentinel") => {
                let (master, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
                if master.is_empty() {
                    return Err(
                        "the name of the master is missing: write redis+sentinel://host:26379/name".into(),
                    );
                }
                let topology = Topology::Sentinel {
                    sentinels: hosts(parts.hosts, SENTINEL_PORT)?,
                    master: decoded(master, "name of the master")?,
                };
                (database, topology)
            }
            Some(_) => return Err(unknown_scheme(parts.scheme)),
        };
        let [in_query] = parts.query(["db"])?;
        let database = match (path, in_query) {
            ("", None) => 0,
            ("", Some(number_in_query)) => number(&number_in_query)?,
            (in_path, None) => number(in_path)?,
            (_, Some(_)) => return Err("the database is given twice: in the path and as db".into()),
        };
        if database != 0 && matches!(topology, Topology::Cluster(_)) {
            return Err("a cluster has only the database 0".into());
        }
        let (username, password) = parts.credentials()?;
        check_user(username.as_ref(), password.as_ref())?;
        Ok(Self {
            topology,
            tls,
            username,
            password,
            database,
        })
    }
}

fn single(list: &str) -> Result<Topology, String> {
    let mut hosts = hosts(list, PORT)?;
    match (hosts.pop(), hosts.is_empty()) {
        (Some(host), true) => Ok(Topology::Single(Server::Tcp(host))),
        _ => Err("several servers need the scheme redis+sentinel or redis+cluster".into()),
    }
}

fn unix(parts: &Parts<'_>) -> Result<RedisUrl, String> {
    if !parts.hosts.is_empty() || parts.path.is_empty() {
        return Err("the path of a socket is absolute: write unix:///run/redis/redis.sock".into());
    }
    let [database, username, password] = parts.query(["db", "user", "pass"])?;
    check_user(username.as_ref(), password.as_ref())?;
    let path = format!("/{}", decoded(parts.path, "path of the socket")?);
    Ok(RedisUrl {
        topology: Topology::Single(Server::Unix(path.into())),
        tls: false,
        username,
        password,
        database: database.map_or(Ok(0), |database| number(&database))?,
    })
}

/// The client library does not send a user without a password, so the connection would have the rights of the default user.
fn check_user(username: Option<&String>, password: Option<&String>) -> Result<(), String> {
    match (username, password) {
        (Some(_), None) => Err("a user name needs a password: write redis://user:password@host".into()),
        _ => Ok(()),
    }
}

fn unknown_scheme(scheme: &str) -> String {
    let known = "redis, rediss, valkey, valkeys, unix, and redis or rediss with +sentinel or +cluster";
    match scheme {
        "tcp" | "http" | "https" => {
            format!("the scheme {scheme} is unknown: write redis:// (known are {known})")
        }
        _ => format!("the scheme is unknown: known are {known}"),
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisUrl")
            .field("topology", &self.topology)
            .field("tls", &self.tls)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => host.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
