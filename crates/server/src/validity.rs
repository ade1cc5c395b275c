//! From when until when a certificate is valid: the one thing that is read from it here.

use chrono::NaiveDateTime;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Begin and end in seconds since 1970; none where the bytes are no certificate.
pub fn read(der: &[u8]) -> Option<(i64, i64)> {
    let (certificate, _) = expect(SEQUENCE, der)?;
    let (mut fields, _) = expect(SEQUENCE, certificate)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // Serial number, algorithm and issuer come first.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (validity, _) = expect(SEQUENCE, fields)?;
    let (tag, begin, rest) = element(validity)?;
    let begin = seconds(tag, begin)?;
    let (tag, end, _) = element(rest)?;
    Some((begin, seconds(tag, end)?))
}

/// The content of an element of this kind, and what follows it.
fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Kind and content of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let digits = usize::from(first & 0x7f);
        if !(1..=4).contains(&digits) {
            return None;
        }
        let (text, after) = rest.split_at_checked(digits)?;
        length = text.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn seconds(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        // Two digits of a year stand for 1950 to 2049.
        UTC_TIME => {
            let year: u8 = text.get(..2)?.parse().ok()?;
            format!("{}{text}", if year < 50 { "20" } else { "19" })
        }
        GENERALIZED_TIME => text.to_string(),
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?;
    Some(time.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        match content.len() {
            length @ 0..128 => bytes.push(length as u8),
            length => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
        }
        bytes.extend(content);
        bytes
    }

    #[test]
    fn begin_and_end_are_found_behind_what_comes_first() {
        let times = [wrap(UTC_TIME, b"200101000000Z"), wrap(GENERALIZED_TIME, b"20500101000000Z")];
        let mut fields = wrap(VERSION, &wrap(2, &[2]));
        fields.extend(wrap(2, &[1; 20]));
        fields.extend(wrap(SEQUENCE, &[]));
        fields.extend(wrap(SEQUENCE, &[7; 200]));
        fields.extend(wrap(SEQUENCE, &times.concat()));
        let certificate = wrap(SEQUENCE, &wrap(SEQUENCE, &fields));
        assert_eq!(read(&certificate), Some((1_577_836_800, 2_524_608_000)));
        for end in 0..certificate.len() {
            assert_eq!(read(&certificate[..end]), None);
        }
        assert_eq!(read(b"no certificate"), None);
    }
}
