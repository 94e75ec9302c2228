//! Relays in front of the cluster bus of each node, which can cut one node off from the others. Clients still reach it.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Each message of the bus begins with a header. It has the id of the sender in bytes 40 to 79.
const HEADER: usize = 80;
const SENDER: usize = 40;
/// A node sends the first message at once.
const FIRST_MESSAGE: Duration = Duration::from_secs(5);

/// The relays. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Bus(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The id of the node that is cut off, and the port of its bus.
    isolated: Option<(String, u16)>,
    connections: Vec<Relayed>,
}

struct Relayed {
    sender: String,
    port: u16,
    streams: [TcpStream; 2],
}

impl Bus {
    /// Starts a relay to the bus of the node at this port. Returns the relay's port.
    pub(super) fn relay_to(&self, port: u16) -> io::Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let own = listener.local_addr()?.port();
        let bus = Arc::downgrade(&self.0);
        // The thread ends with the first connection after the bus was dropped, or with this process.
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let Some(state) = bus.upgrade() else { return };
                thread::spawn(move || Self(state).relay(connection, port));
            }
        });
        Ok(own)
    }

    /// Cuts the connections of a node in both directions, and accepts no new ones.
    pub(super) fn isolate(&self, node: &str, port: u16) {
        let mut state = self.lock();
        state.isolated = Some((node.to_owned(), port));
        state.connections.retain(|relayed| {
            let cut = relayed.sender == node || relayed.port == port;
            if cut {
                relayed.close();
            }
            !cut
        });
    }

    /// Ends the partition.
    pub(super) fn rejoin(&self) {
        self.lock().isolated = None;
    }

    fn relay(self, from: TcpStream, port: u16) {
        let relayed = self.connect(&from, port);
        let Ok([mut client, mut node]) = relayed else {
            return;
        };
        // A thread that copies does not keep the bus.
        drop(self);
        let (Ok(mut from), Ok(mut back)) = (client.try_clone(), node.try_clone()) else {
            return;
        };
        thread::spawn(move || {
            let _ = io::copy(&mut back, &mut client);
            let _ = client.shutdown(Shutdown::Both);
        });
        let _ = io::copy(&mut from, &mut node);
        let _ = node.shutdown(Shutdown::Both);
    }

    /// Forwards the first header, unless the sender or the receiver is cut off.
    fn connect(&self, from: &TcpStream, port: u16) -> io::Result<[TcpStream; 2]> {
        let mut from = from.try_clone()?;
        let mut header = [0; HEADER];
        from.set_read_timeout(Some(FIRST_MESSAGE))?;
        from.read_exact(&mut header)?;
        from.set_read_timeout(None)?;
        let sender = String::from_utf8_lossy(&header[SENDER..]).into_owned();
        let mut state = self.lock();
        if let Some((id, isolated)) = &state.isolated
            && (*id == sender || *isolated == port)
        {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let mut to = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        to.write_all(&header)?;
        state.connections.push(Relayed {
            sender,
            port,
            streams: [from.try_clone()?, to.try_clone()?],
        });
        Ok([from, to])
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Relayed {
    fn close(&self) {
        for stream in &self.streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
