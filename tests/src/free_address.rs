//! Free addresses for servers that bind them later.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU8, Ordering},
};

/// A free address of this machine. Each call has its own IP address: tests that run at the same time cannot get the same one.
///
/// # Panics
/// If there is none.
pub fn free_address() -> SocketAddr {
    static LAST: AtomicU8 = AtomicU8::new(1);
    free(Ipv4Addr::new(127, 0, 1, LAST.fetch_add(1, Ordering::Relaxed)))
}

/// A free port of 127.0.0.1.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    free(Ipv4Addr::LOCALHOST).port()
}

fn free(ip: Ipv4Addr) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).expect("a free port");
    listener.local_addr().expect("an address")
}
