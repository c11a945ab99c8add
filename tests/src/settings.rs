//! Changes to a ground's `keysvc.toml`, and the health listener that one of them turns on.

use crate::ground::Ground;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

/// Longer than any answer of the health listener takes.
const LONG: Duration = Duration::from_secs(10);

/// An answer of the health listener.
#[derive(Debug, Clone)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Ground {
    /// Puts a line at the head of a section of the service's configuration, which is made where it is not.
    ///
    /// # Panics
    /// When the file cannot be read or written.
    pub fn set(&self, section: &str, line: &str) {
        let file = self.site().service_config();
        let (text, head) = (fs::read_to_string(&file).unwrap(), format!("[{section}]\n"));
        let text = if text.contains(&head) {
            text.replacen(&head, &format!("{head}{line}\n"), 1)
        } else {
            format!("{text}\n{head}{line}\n")
        };
        fs::write(&file, text).unwrap();
    }

    /// Puts `to` for `from` in the service's configuration.
    ///
    /// # Panics
    /// When it does not hold `from`.
    pub fn change(&self, from: &str, to: &str) {
        let file = self.site().service_config();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "no {from} in {text}");
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
    }

    /// Turns the health listener on, and gives its port.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn with_health(&self) -> u16 {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        self.set("front", &format!("health = \"127.0.0.1:{port}\""));
        port
    }
}

/// Asks the health listener on `port` for a page; nothing when nobody answers.
///
/// # Panics
/// When what comes is no HTTP.
#[must_use]
pub fn page(port: u16, path: &str) -> Option<Page> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_read_timeout(Some(LONG)).ok()?;
    socket.write_all(format!("GET {path} HTTP/1.1\r\nhost: monitor\r\n\r\n").as_bytes()).ok()?;
    let mut text = String::new();
    socket.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Some(Page { status: head.split(' ').nth(1).unwrap().parse().unwrap(), body: body.to_owned() })
}
