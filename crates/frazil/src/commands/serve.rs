//! `frazil serve`.

use std::io::Write;

use frazil_engine::{Engine, EngineSettings};
use frazil_server::ServerSettings;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Serve;
use crate::commands::doctor::check_new_or_directory;
use crate::commands::{CommandError, io, tls};

pub async fn run(arguments: Serve) -> Result<(), CommandError> {
    let encrypted = arguments.tls_generate || arguments.tls_cert.is_some();
    if !arguments.listen.ip().is_loopback() && !encrypted {
        if !arguments.insecure_listen {
            return Err(CommandError::Message(format!(
                "{} can be reached from other machines, and connections are not encrypted. Listen \
                 on 127.0.0.1, encrypt with --tls-generate or --tls-cert and --tls-key, or add \
                 --insecure-listen if the network is trusted.",
                arguments.listen
            )));
        }
        eprintln!(
            "warning: listening on {} without encryption: passwords and data can be read on the \
             network",
            arguments.listen
        );
    }
    check_new_or_directory(&arguments.data_dir)?;
    let mut settings = EngineSettings::new(&arguments.data_dir);
    settings.memory_limit = arguments.memory_limit;
    settings.threads = arguments.threads;
    settings.limits = arguments.limits.limits();
    let upload_bytes_max = settings.limits.upload_bytes;
    settings.region = arguments.region;
    settings.organization = arguments.organization;
    settings.bootstrap_user = arguments.bootstrap_user;
    settings.bootstrap_password =
        std::env::var("FRAZIL_BOOTSTRAP_PASSWORD").ok().filter(|password| !password.is_empty());
    let (engine, generated) = Engine::open(settings).await?;
    if let Some(generated) = generated {
        println!("user {} has the password {} (shown once)", generated.user, generated.password);
    }
    // The data directory exists and is locked by now.
    let tls = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificate), Some(key)) => Some(tls::load(certificate, key)?),
        _ if arguments.tls_generate => Some(tls::generate(&arguments.data_dir, &arguments.listen)?),
        _ => None,
    };
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(io(format!("cannot listen on {}", arguments.listen)))?;
    let address = listener.local_addr().map_err(io("cannot read the listening address"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(io("cannot wait for SIGTERM"))?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    println!("listening on {scheme}://{address}");
    std::io::stdout().flush().map_err(io("cannot write to standard output"))?;
    let settings = ServerSettings {
        external_url: arguments.external_url,
        tls,
        upload_bytes_max,
        connections_max: connections_max(),
        ..ServerSettings::default()
    };
    frazil_server::serve(engine.clone(), listener, settings, stop).await?;
    engine.shutdown().await;
    Ok(())
}

/// Most connections that are worth having, however many files may be open.
const CONNECTIONS_MAX: usize = 10_000;

/// Connections that the server takes at a time: half of the files that this process may open, for
/// the other half is needed by tables and the catalog.
fn connections_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    open_files(&limits).map_or(CONNECTIONS_MAX, |files| (files / 2).clamp(8, CONNECTIONS_MAX))
}

/// The soft limit of open files in the kernel's table of limits; none when it is unlimited.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_read() {
        let table = "Limit                     Soft Limit           Hard Limit           Units\n\
                     Max processes             127235               127235               processes\n\
                     Max open files            1024                 1048576              files\n";
        assert_eq!(open_files(table), Some(1024));
        assert_eq!(open_files(&table.replace("1024 ", "unlimited ")), None);
        assert_eq!(open_files(""), None);
        assert!((8..=CONNECTIONS_MAX).contains(&connections_max()));
    }
}
