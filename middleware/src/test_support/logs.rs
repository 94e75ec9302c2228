//! [`CapturedLogs`]: the log events of the current thread.

use std::{
    fmt::{Debug, Write as _},
    sync::{Arc, Mutex, OnceLock},
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::{DefaultGuard, Interest},
};

/// Captures the log events of the current thread until it is dropped.
pub(crate) struct CapturedLogs {
    events: Events,
    _guard: DefaultGuard,
}

type Events = Arc<Mutex<Vec<(Level, String)>>>;

impl CapturedLogs {
    pub(crate) fn start() -> Self {
        // With a single dispatcher, tracing consults only the thread that reaches a log statement first, and that thread may
        // run another test. With a second dispatcher, it consults both.
        static SECOND: OnceLock<Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| Dispatch::new(Capture(Events::default())));

        let events = Events::default();
        Self {
            _guard: tracing::subscriber::set_default(Capture(events.clone())),
            events,
        }
    }

    /// The levels and texts of the events that contain `text` in their message or fields.
    pub(crate) fn containing(&self, text: &str) -> Vec<(Level, String)> {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .filter(|(_, event)| event.contains(text))
            .cloned()
            .collect()
    }
}

struct Capture(Events);

impl Subscriber for Capture {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push((*event.metadata().level(), text.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of an event as `name=value`.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}
