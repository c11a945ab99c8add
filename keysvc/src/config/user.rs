//! The number of a user of this machine, by name.
//!
//! It reads `/etc/passwd` itself: asking the name service would need foreign code in the keeper. Users that only a
//! directory service knows are not found.

/// The user id of `name`.
#[must_use]
pub fn uid_of(name: &str) -> Option<u32> {
    find(&std::fs::read_to_string("/etc/passwd").ok()?, name)
}

fn find(passwd: &str, name: &str) -> Option<u32> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name_alone() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nkeysvc-front:x:997:997::/:/usr/sbin/nologin\nbad:x\n";
        assert_eq!(find(passwd, "keysvc-front"), Some(997));
        assert_eq!(find(passwd, "keysvc"), None);
        assert_eq!(find(passwd, "bad"), None);
        assert_eq!(uid_of("root"), Some(0));
    }
}
