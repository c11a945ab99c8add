//! Base64 with padding (RFC 4648, section 4), in which `OpenBao` is given digests and gives signatures.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes bytes as text.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4_usize {
            let sextet = bits >> [18, 12, 6, 0].get(place).copied().unwrap_or(0) & 63;
            let letter = usize::try_from(sextet).ok().and_then(|sextet| ALPHABET.get(sextet));
            // Three bytes are four letters, two are three, one is two.
            text.push(letter.filter(|_| place <= group.len()).map_or('=', |letter| char::from(*letter)));
        }
    }
    text
}

/// Reads bytes from text; nothing where it is not base64.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let letters = text.trim_end_matches('=').as_bytes();
    // At most two of the last four letters are padding.
    if !text.len().is_multiple_of(4) || text.len().saturating_sub(letters.len()) > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(letters.len());
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in letters {
        bits = (bits << 6 | sextet(*letter)?) & 0xfff_ffff;
        held = held.saturating_add(6);
        if held >= 8 {
            held = held.saturating_sub(8);
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}

fn sextet(letter: u8) -> Option<u32> {
    let (first, from) = match letter {
        b'A'..=b'Z' => (b'A', 0),
        b'a'..=b'z' => (b'a', 26),
        b'0'..=b'9' => (b'0', 52),
        b'+' => return Some(62),
        b'/' => return Some(63),
        _ => return None,
    };
    Some(u32::from(letter.saturating_sub(first)).saturating_add(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_the_letters_of_the_standard_and_come_back() {
        // RFC 4648, section 10.
        let all = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in all {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&every)), Some(every));
    }

    #[test]
    fn what_is_not_base64_is_not_read() {
        for text in ["Z", "Zg", "Zg=", "Zg=\n", "Zm 9v", "====", "Zm9v===="] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
