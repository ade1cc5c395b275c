//! From when until when a certificate is valid: the one thing that is read from it here.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Begin and end in seconds since 1970; none where the bytes are no certificate.
pub fn read(der: &[u8]) -> Option<(i64, i64)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn begin_and_end_of_a_certificate() {
        let mut wanted = rcgen::CertificateParams::new(vec!["localhost".to_string()]).unwrap();
        // Many have no name but those.
        wanted.distinguished_name = rcgen::DistinguishedName::new();
        wanted.not_before = rcgen::date_time_ymd(2020, 1, 1);
        wanted.not_after = rcgen::date_time_ymd(2050, 1, 1);
        let made = wanted.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        assert_eq!(read(made.der()), Some((1_577_836_800, 2_524_608_000)));
        assert_eq!(read(&made.der()[..100]), None);
        assert_eq!(read(b"no certificate"), None);
    }
}
