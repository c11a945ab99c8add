//! The head of an HTTP/1.1 request (RFC 9112), strictly: what is not plainly one message of one length is refused.
//!
//! Pure and apart because the HTTP library behind it is lenient: it accepts Content-Length together with
//! Transfer-Encoding, bare line feeds and a missing Host, and what two parsers read differently can be smuggled.

/// What is wrong with a request before anything in it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadFault {
    /// Not a head as this service takes it.
    Malformed,
    /// The head is too long or has too many headers.
    HeadTooLong,
    /// The body is announced to be too long.
    BodyTooLong,
}

/// The most a head may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadLimits {
    /// Longest head, in bytes.
    pub(super) head_len: usize,
    /// Most headers.
    pub(super) headers: usize,
    /// Longest body announced, in bytes.
    pub(super) body_len: usize,
}

/// Looks for the end of the head in `bytes`, of which `scanned` were looked at before; gives the length of the head
/// with its last line end.
///
/// # Errors
/// [`HeadFault`] at the first byte that no head may have: a bare CR or LF, another control character, or too many.
pub(super) fn end(bytes: &[u8], scanned: usize, len_max: usize) -> Result<Option<usize>, HeadFault> {
    let mut before = scanned.checked_sub(1).and_then(|last| bytes.get(last)).copied();
    for (place, &byte) in bytes.iter().enumerate().skip(scanned) {
        if place >= len_max {
            return Err(HeadFault::HeadTooLong);
        }
        match (before, byte) {
            (Some(b'\r'), b'\n') => {
                let head = bytes.get(..=place).unwrap_or_default();
                if head.ends_with(b"\r\n\r\n") {
                    return Ok(Some(head.len()));
                }
            }
            (Some(b'\r'), _) | (_, b'\n' | 0x00..=0x08 | 0x0b..=0x0c | 0x0e..=0x1f | 0x7f) => {
                return Err(HeadFault::Malformed);
            }
            _ => {}
        }
        before = Some(byte);
    }
    Ok(None)
}

/// Checks a whole head as [`end`] found it; gives the length of the body.
///
/// # Errors
/// [`HeadFault`] naming what it may not be.
pub(super) fn check(head: &[u8], limits: &HeadLimits) -> Result<usize, HeadFault> {
    let mut lines = head.strip_suffix(b"\r\n\r\n").ok_or(HeadFault::Malformed)?.split(|byte| *byte == b'\n');
    check_request_line(whole(lines.next().unwrap_or_default()))?;
    let (mut hosts, mut body_len, mut headers) = (0_usize, None, 0_usize);
    for line in lines.map(whole) {
        headers = headers.saturating_add(1);
        if headers > limits.headers {
            return Err(HeadFault::HeadTooLong);
        }
        let (name, value) = header(line)?;
        let named = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if named(b"transfer-encoding") || (named(b"host") && value.is_empty()) {
            return Err(HeadFault::Malformed);
        }
        if named(b"host") {
            hosts = hosts.saturating_add(1);
        }
        if named(b"content-length") && body_len.replace(content_length(value)?).is_some() {
            return Err(HeadFault::Malformed);
        }
    }
    if hosts != 1 {
        return Err(HeadFault::Malformed);
    }
    let body_len = usize::try_from(body_len.unwrap_or(0)).unwrap_or(usize::MAX);
    if body_len > limits.body_len { Err(HeadFault::BodyTooLong) } else { Ok(body_len) }
}

/// A line without the CR before its line feed; the last line has none left.
fn whole(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn check_request_line(line: &[u8]) -> Result<(), HeadFault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (method, target, version, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    let good = method.is_some_and(is_token)
        && target.is_some_and(|target| target.starts_with(b"/") && target.iter().all(u8::is_ascii_graphic))
        && version == Some(b"HTTP/1.1")
        && more.is_none();
    if good { Ok(()) } else { Err(HeadFault::Malformed) }
}

/// Name and trimmed value; a folded line (RFC 9112 section 5.2) has no name.
fn header(line: &[u8]) -> Result<(&[u8], &[u8]), HeadFault> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(HeadFault::Malformed)?;
    let (name, value) = line.split_at_checked(colon).ok_or(HeadFault::Malformed)?;
    if !is_token(name) {
        return Err(HeadFault::Malformed);
    }
    Ok((name, value.strip_prefix(b":").unwrap_or(value).trim_ascii()))
}

/// Digits only, at most 18: no sign, no list, no space.
fn content_length(value: &[u8]) -> Result<u64, HeadFault> {
    let good = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let text = str::from_utf8(value).map_err(|_| HeadFault::Malformed)?;
    if good { text.parse().map_err(|_| HeadFault::Malformed) } else { Err(HeadFault::Malformed) }
}

/// A token (RFC 9110 section 5.6.2).
fn is_token(bytes: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: HeadLimits = HeadLimits { head_len: 300, headers: 4, body_len: 100 };

    fn body_len(head: &str) -> Result<usize, HeadFault> {
        let bytes = head.as_bytes();
        let end = end(bytes, 0, LIMITS.head_len)?.expect("the head has an end");
        assert_eq!(end, bytes.len());
        check(bytes, &LIMITS)
    }

    #[test]
    fn a_plain_request_has_the_length_it_says() {
        assert_eq!(body_len("POST /v1/status HTTP/1.1\r\nhost: a\r\nContent-Length: 12\r\n\r\n"), Ok(12));
        assert_eq!(body_len("GET / HTTP/1.1\r\nHost:a\r\n\r\n"), Ok(0));
    }

    #[test]
    fn a_length_that_is_not_one_plain_number_is_refused() {
        for value in ["", "+1", "-1", "1,1", "1 1", "0x1", "1\r\ncontent-length: 1", "9999999999999999999"] {
            let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {value}\r\n\r\n");
            assert_eq!(body_len(&head), Err(HeadFault::Malformed), "{value}");
        }
    }

    #[test]
    fn any_transfer_encoding_is_refused() {
        for value in ["chunked", "identity", "", "gzip, chunked"] {
            for name in ["Transfer-Encoding", "transfer-encoding"] {
                let head =
                    format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n{name}: {value}\r\n\r\n");
                assert_eq!(body_len(&head), Err(HeadFault::Malformed), "{name}: {value}");
            }
        }
    }

    #[test]
    fn exactly_one_host_is_needed() {
        for hosts in ["", "host:\r\n", "host: a\r\nHost: a\r\n", "host: a\r\nhost:\r\n"] {
            assert_eq!(
                body_len(&format!("GET / HTTP/1.1\r\n{hosts}\r\n")),
                Err(HeadFault::Malformed),
                "{hosts}"
            );
        }
    }

    #[test]
    fn bare_line_ends_and_control_characters_are_refused_where_they_stand() {
        for head in
            ["GET / HTTP/1.1\nhost: a\n\n", "GET / HTTP/1.1\r\nhost: a\n\r\n", "GET /\rHTTP", "\n", "GET /\0"]
        {
            assert_eq!(end(head.as_bytes(), 0, 300), Err(HeadFault::Malformed), "{head:?}");
        }
    }

    #[test]
    fn a_request_line_of_another_form_is_refused() {
        for line in [
            "",
            "GET /",
            "GET / HTTP/1.0",
            "GET / HTTP/2.0",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET http://a/ HTTP/1.1",
            "GET * HTTP/1.1",
            "G(T / HTTP/1.1",
            " GET / HTTP/1.1",
        ] {
            assert_eq!(
                body_len(&format!("{line}\r\nhost: a\r\n\r\n")),
                Err(HeadFault::Malformed),
                "{line:?}"
            );
        }
    }

    #[test]
    fn a_header_of_another_form_is_refused() {
        for line in ["x", " x: folded", "x : y", ": y", "x\ty: z"] {
            let head = format!("GET / HTTP/1.1\r\nhost: a\r\n{line}\r\n\r\n");
            assert_eq!(body_len(&head), Err(HeadFault::Malformed), "{line:?}");
        }
    }

    #[test]
    fn a_head_over_its_limits_is_refused() {
        let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(300));
        assert_eq!(end(long.as_bytes(), 0, 300), Err(HeadFault::HeadTooLong));
        let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(4));
        assert_eq!(body_len(&many), Err(HeadFault::HeadTooLong));
        let body = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 101\r\n\r\n";
        assert_eq!(body_len(body), Err(HeadFault::BodyTooLong));
    }

    proptest! {
        #[test]
        fn the_end_is_the_same_whatever_the_cut(bytes in "[a-c:\r\n]{0,40}", cut in 1_usize..40) {
            let bytes = bytes.as_bytes();
            let mut scanned = 0;
            let mut found = Ok(None);
            for upto in (0..=bytes.len()).step_by(cut).chain([bytes.len()]) {
                found = end(&bytes[..upto], scanned, 300);
                if found != Ok(None) {
                    break;
                }
                scanned = upto;
            }
            prop_assert_eq!(found, end(bytes, 0, 300));
        }

        #[test]
        fn no_bytes_make_the_reader_fail_otherwise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = end(&bytes, 0, 100);
            let _ = check(&bytes, &LIMITS);
        }
    }
}
