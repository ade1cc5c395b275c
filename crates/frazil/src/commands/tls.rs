//! The server's certificate: the operator's own, or one made at first start.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use frazil_server::Tls;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::commands::{CommandError, io};

/// Folder in the data directory that holds a generated certificate.
const FOLDER: &str = "tls";
/// The authority that clients trust; its key is not kept, so nothing else can be signed with it.
const AUTHORITY: &str = "ca.pem";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

fn message(what: impl std::fmt::Display) -> CommandError {
    CommandError::Message(what.to_string())
}

/// The operator's own certificate chain and key.
pub fn load(certificate: &Path, key: &Path) -> Result<Tls, CommandError> {
    let read = |path: &Path| fs::read(path).map_err(io(format!("cannot read {}", path.display())));
    let tls = Tls::from_pem(&read(certificate)?, &read(key)?).map_err(message)?;
    let (name, now) = (certificate.display(), chrono::Utc::now().timestamp());
    match tls.validity() {
        Some((_, until)) if until < now => tracing::warn!(
            "the certificate {name} has expired: clients will refuse it; put a new one in its place \
             and start again"
        ),
        Some((from, _)) if now < from => tracing::warn!(
            "the certificate {name} is not valid yet: clients will refuse it; is this machine's \
             clock right?"
        ),
        _ => {}
    }
    Ok(tls)
}

/// The generated certificate of a data directory, made where absent. It stands for this
/// machine's loopback names and for the address listened on.
pub fn generate(data_dir: &Path, listen: &SocketAddr) -> Result<Tls, CommandError> {
    let folder = data_dir.join(FOLDER);
    let [authority, certificate, key] = [AUTHORITY, CERTIFICATE, KEY].map(|name| folder.join(name));
    if !certificate.exists() || !key.exists() {
        fs::create_dir_all(&folder).map_err(io(format!("cannot make {}", folder.display())))?;
        let made = make(listen).map_err(message)?;
        // The certificate comes last: half a set is made anew.
        write(&key, &made.key, 0o600)?;
        write(&authority, &made.authority, 0o644)?;
        write(&certificate, &made.chain, 0o644)?;
        println!("made a certificate; clients trust it through {}", authority.display());
    }
    load(&certificate, &key).map_err(|error| {
        CommandError::Message(format!(
            "{error}. The certificate was made by --tls-generate: delete the folder {} and start \
             again for a new one, which clients must then be given",
            folder.display()
        ))
    })
}

struct Made {
    authority: String,
    chain: String,
    key: String,
}

fn make(listen: &SocketAddr) -> Result<Made, rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "Frazil generated authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let mut server = CertificateParams::new(names(listen.ip()))?;
    server.distinguished_name.push(DnType::CommonName, "Frazil");
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    if !listen.ip().is_unspecified() {
        server.subject_alt_names.push(SanType::IpAddress(listen.ip()));
    }
    for address in ["127.0.0.1", "::1"] {
        if let Ok(address) = address.parse() {
            server.subject_alt_names.push(SanType::IpAddress(address));
        }
    }
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &issuer)?;
    Ok(Made {
        authority: authority_certificate.pem(),
        chain: format!("{}{}", certificate.pem(), authority_certificate.pem()),
        key: key.serialize_pem(),
    })
}

/// DNS names of this machine as far as they are known here.
fn names(listen: IpAddr) -> Vec<String> {
    let mut names = vec!["localhost".to_string()];
    if !listen.is_loopback()
        && let Ok(name) = fs::read_to_string("/proc/sys/kernel/hostname")
    {
        let name = name.trim();
        if !name.is_empty() && name != "localhost" {
            names.push(name.to_string());
        }
    }
    names
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), CommandError> {
    let failed = || format!("cannot write {}", path.display());
    // A file left by an earlier start may have another mode.
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(io(failed()))?;
    file.write_all(text.as_bytes()).map_err(io(failed()))?;
    file.sync_all().map_err(io(failed()))
}
