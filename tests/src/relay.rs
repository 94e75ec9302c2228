//! A TCP relay in front of a server. New connections can be redirected to another server, and each connection can be made to
//! hang or break.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A running relay. Dropping it stops it and closes its connections.
pub struct Relay {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    running: JoinHandle<()>,
}

struct Shared {
    target: watch::Sender<u16>,
    /// The fate of each connection, in the order of connecting.
    fates: Mutex<Vec<watch::Sender<Fate>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Passes,
    /// Bytes from the server are held back.
    Holds,
    Hangs,
    Breaks,
}

impl Relay {
    /// Starts a relay in front of a port of 127.0.0.1.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            target: watch::Sender::new(port),
            fates: Mutex::default(),
        });
        let relayed = shared.clone();
        let running = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let fate = watch::Sender::new(Fate::Passes);
                let port = *relayed.target.borrow();
                tokio::spawn(relay(client, port, fate.subscribe()));
                let mut fates = relayed.fates.lock().unwrap_or_else(PoisonError::into_inner);
                fates.push(fate);
            }
        });
        Self {
            address,
            shared,
            running,
        }
    }

    /// Redirects new connections to another port. Existing connections stay.
    pub fn redirect_to(&self, port: u16) {
        self.shared.target.send_replace(port);
    }

    /// Holds back bytes from the server on the n-th connection, until `release`.
    pub fn hold(&self, connection: usize) {
        self.decide(connection, Fate::Holds);
    }

    /// Forwards again on a connection that was held, including the bytes held back.
    pub fn release(&self, connection: usize) {
        self.decide(connection, Fate::Passes);
    }

    /// Stops forwarding on the n-th connection, which stays open.
    pub fn hang(&self, connection: usize) {
        self.decide(connection, Fate::Hangs);
    }

    /// Closes the n-th connection.
    pub fn cut(&self, connection: usize) {
        self.decide(connection, Fate::Breaks);
    }

    /// Stops forwarding on all connections, which stay open, and refuses new ones until `redirect_to`.
    pub fn isolate(&self) {
        self.redirect_to(0);
        let fates = self.shared.fates.lock().unwrap_or_else(PoisonError::into_inner);
        for fate in &*fates {
            fate.send_replace(Fate::Hangs);
        }
    }

    fn decide(&self, connection: usize, fate: Fate) {
        let fates = self.shared.fates.lock().unwrap_or_else(PoisonError::into_inner);
        fates[connection].send_replace(fate);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn relay(mut client: TcpStream, port: u16, mut fate: watch::Receiver<Fate>) {
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    let mut held = fate.clone();
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let down = async {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let count = tokio::select! {
                biased;
                _ = held.wait_for(|fate| *fate == Fate::Holds) => None,
                count = from_server.read(&mut bytes) => Some(count.unwrap_or(0)),
            };
            let Some(count) = count else {
                let _ = held.wait_for(|fate| *fate != Fate::Holds).await;
                continue;
            };
            if count == 0 || to_client.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => return,
        () = down => return,
        _ = fate.wait_for(|fate| *fate > Fate::Holds) => {}
    }
    // Bytes in flight are lost, and both sockets stay open.
    let _ = fate.wait_for(|fate| *fate == Fate::Breaks).await;
}
