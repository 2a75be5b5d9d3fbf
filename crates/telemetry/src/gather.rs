//! Where lines go. Those of the access log come by the thousand: they are
//! gathered, and written together a moment later.
//!
//! Invariants: lines stand in the order in which they came. Every other line
//! is written before whoever logs it goes on, behind what was gathered before,
//! so that nothing is lost with a process but the last moment of its access
//! log. Whoever gathers does not wait for a disk, as long as there is room.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// The target of the lines that may be gathered: one for each request that was
/// answered.
pub const ACCESS: &str = "access";

/// How long a line waits for others.
const MOMENT: Duration = Duration::from_millis(10);
/// How much is gathered, in bytes.
const ROOM: usize = 1 << 20;

/// Gathers lines for a writer. Cheap to clone.
pub struct Gather<W>(Arc<Inner<W>>);

struct Inner<W> {
    gathered: Mutex<Vec<u8>>,
    /// Told of the first line that is gathered.
    begun: Condvar,
    /// Locked before what is gathered.
    writing: Mutex<Writing<W>>,
}

struct Writing<W> {
    writer: W,
    /// What is being written; empty otherwise. Its room is used again.
    taken: Vec<u8>,
}

impl<W> Clone for Gather<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Write + Send + 'static> Gather<W> {
    /// Gathers for `writer`, with a thread of its own.
    pub fn new(writer: W) -> io::Result<Self> {
        let gather = Self(Arc::new(Inner {
            gathered: Mutex::default(),
            begun: Condvar::new(),
            writing: Mutex::new(Writing { writer, taken: Vec::new() }),
        }));
        let own = gather.clone();
        thread::Builder::new().name("log".into()).spawn(move || own.run())?;
        Ok(gather)
    }

    /// Writes what was gathered.
    pub fn flush(&self) {
        // There is nowhere to tell that the log cannot be written.
        self.write(&[]).ok();
    }

    fn run(&self) {
        loop {
            drop(self.0.begun.wait_while(locked(&self.0.gathered), |lines| lines.is_empty()));
            thread::sleep(MOMENT);
            self.flush();
        }
    }

    /// Writes what was gathered, and then `line`.
    fn write(&self, line: &[u8]) -> io::Result<()> {
        let mut writing = locked(&self.0.writing);
        let Writing { writer, taken } = &mut *writing;
        mem::swap(taken, &mut *locked(&self.0.gathered));
        let written = writer.write_all(taken);
        taken.clear();
        written.and_then(|()| writer.write_all(line)).and_then(|()| writer.flush())
    }
}

/// A panic while the log was being written must not end all logging.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the lines of one event.
pub struct Line<'a, W> {
    gather: &'a Gather<W>,
    may_wait: bool,
}

impl<W> Line<'_, W> {
    /// Whether there was room for the line.
    fn gathers(&self, line: &[u8]) -> bool {
        let mut gathered = locked(&self.gather.0.gathered);
        if gathered.len() + line.len() > ROOM {
            return false;
        }
        let first = gathered.is_empty();
        gathered.extend_from_slice(line);
        drop(gathered);
        if first {
            self.gather.0.begun.notify_one();
        }
        true
    }
}

impl<W: Write + Send + 'static> Write for Line<'_, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.may_wait || !self.gathers(line) {
            self.gather.write(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a, W: Write + Send + 'static> MakeWriter<'a> for Gather<W> {
    type Writer = Line<'a, W>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { gather: self, may_wait: false }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        Line { gather: self, may_wait: metadata.target() == ACCESS }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Sends what is written.
    struct Sent(Sender<String>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !bytes.is_empty() {
                self.0.send(String::from_utf8_lossy(bytes).into_owned()).unwrap();
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gather() -> (Gather<Sent>, Receiver<String>) {
        let (sender, receiver) = channel();
        (Gather::new(Sent(sender)).unwrap(), receiver)
    }

    fn line(gather: &Gather<Sent>, may_wait: bool, text: &str) {
        Line { gather, may_wait }.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn what_may_wait_comes_by_itself() {
        let (gather, written) = gather();
        for text in ["one ", "two ", "three"] {
            line(&gather, true, text);
        }
        let mut all = String::new();
        while all != "one two three" {
            all += &written.recv_timeout(Duration::from_secs(60)).expect("lines");
        }
    }

    #[test]
    fn what_may_not_wait_is_there_at_once_behind_what_came_before() {
        let (gather, written) = gather();
        line(&gather, true, "one ");
        line(&gather, false, "two");
        let all: String = written.try_iter().collect();
        assert_eq!(all, "one two");
        line(&gather, true, "three");
        gather.flush();
        assert_eq!(written.try_iter().collect::<String>(), "three");
    }

    #[test]
    fn no_more_is_gathered_than_there_is_room_for() {
        let (gather, written) = gather();
        let long = "x".repeat(ROOM);
        line(&gather, true, &long);
        line(&gather, true, "y");
        // Its thread may have written the first before the second came.
        gather.flush();
        let lengths: Vec<usize> = written.try_iter().map(|text| text.len()).collect();
        assert!(lengths.iter().all(|length| *length <= ROOM), "{lengths:?}");
        assert_eq!(lengths.iter().sum::<usize>(), ROOM + 1);
    }
}
