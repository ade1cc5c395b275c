//! PUT and GET (instructions for the client), LIST and REMOVE.

use frazil_common::{Privilege, SqlType, UserError};
use frazil_dialect::{GetFiles, ListFiles, PutFiles, RemoveFiles};

use crate::api::{FileTransfer, StageBytes, TransferDirection};
use crate::history::access::note_stage;
use crate::stage_files::check_length;
use crate::stages::location::{StageLocation, resolve_stage, select_files};
use crate::statements::context::{StatementContext, Work};
use crate::statements::outcome::{COUNT, Cell, Outcome};

/// Files moved at once when the statement names no number.
const PARALLEL_DEFAULT: u32 = 4;

fn local(text: &str) -> Result<String, UserError> {
    text.trim_matches('\'').strip_prefix("file://").map(str::to_string).ok_or_else(|| {
        UserError::new(
            frazil_common::Code::InvalidArgument,
            format!("'{text}' is not a local file: it must start with file://"),
        )
    })
}

fn parallel(given: Option<i64>) -> u32 {
    given.and_then(|number| u32::try_from(number).ok()).unwrap_or(PARALLEL_DEFAULT).clamp(1, 99)
}

pub(crate) async fn put(
    context: &StatementContext,
    _work: &mut Work,
    put: &PutFiles,
) -> Result<Outcome, UserError> {
    let location = resolve_stage(context, &put.location, Privilege::Write).await?;
    note_stage(context, &location, Privilege::Write);
    let mut path = location.path.clone();
    if !path.is_empty() && !path.ends_with('/') {
        path.push('/');
    }
    let source = local(&put.source)?;
    // A client that has sent a file hears less of why it is refused. What a pattern means it alone knows.
    let name = source.rsplit(['/', '\\']).next().filter(|name| !name.contains(['*', '?']));
    check_length(&format!("{path}{}", name.unwrap_or_default()))?;
    let columns = [
        ("source", SqlType::TEXT),
        ("target", SqlType::TEXT),
        ("source_size", COUNT),
        ("target_size", COUNT),
        ("source_compression", SqlType::TEXT),
        ("target_compression", SqlType::TEXT),
        ("status", SqlType::TEXT),
        ("encryption", SqlType::TEXT),
        ("message", SqlType::TEXT),
    ];
    let mut outcome = Outcome::table(&columns, Vec::new())?;
    outcome.transfer = Some(FileTransfer {
        direction: TransferDirection::Upload,
        stage_id: location.stage_id,
        stage_path: path,
        sources: vec![source],
        sizes: Vec::new(),
        local_directory: None,
        auto_compress: put.auto_compress.unwrap_or(true),
        source_compression: put
            .source_compression
            .as_deref()
            .unwrap_or("auto_detect")
            .to_lowercase(),
        overwrite: put.overwrite.unwrap_or(false),
        parallel: parallel(put.parallel),
        threshold: put.threshold.and_then(|bytes| u64::try_from(bytes).ok()),
    });
    Ok(outcome)
}

pub(crate) async fn get(
    context: &StatementContext,
    _work: &mut Work,
    get: &GetFiles,
) -> Result<Outcome, UserError> {
    let location = resolve_stage(context, &get.location, Privilege::Read).await?;
    note_stage(context, &location, Privilege::Read);
    let (files, _) = select_files(context, &location, None, get.pattern.as_deref()).await?;
    let columns = [
        ("file", SqlType::TEXT),
        ("size", COUNT),
        ("status", SqlType::TEXT),
        ("message", SqlType::TEXT),
    ];
    let mut outcome = Outcome::table(&columns, Vec::new())?;
    outcome.transfer = Some(FileTransfer {
        direction: TransferDirection::Download,
        stage_id: location.stage_id,
        stage_path: location.path,
        sizes: files.iter().map(|file| file.size).collect(),
        sources: files.into_iter().map(|file| file.path).collect(),
        local_directory: Some(local(&get.target)?),
        auto_compress: false,
        source_compression: "none".to_string(),
        overwrite: true,
        parallel: parallel(get.parallel),
        threshold: None,
    });
    Ok(outcome)
}

/// A file as LIST shows it: behind its stage's name, where the stage has one.
fn listed_name(location: &StageLocation, path: &str) -> String {
    match location.label.as_str() {
        "" => path.to_string(),
        label => format!("{label}/{path}"),
    }
}

/// RFC 2822 in GMT, as LIST shows times.
fn shown_time(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros)
        .map_or_else(String::new, |time| time.format("%a, %e %b %Y %H:%M:%S GMT").to_string())
}

pub(crate) async fn list(
    context: &StatementContext,
    _work: &mut Work,
    list: &ListFiles,
) -> Result<Outcome, UserError> {
    let columns = [
        ("name", SqlType::TEXT),
        ("size", COUNT),
        ("md5", SqlType::TEXT),
        ("last_modified", SqlType::TEXT),
    ];
    let location = resolve_stage(context, &list.location, Privilege::Read).await?;
    if context.describe_only {
        return Outcome::table(&columns, Vec::new());
    }
    let (files, _) = select_files(context, &location, None, list.pattern.as_deref()).await?;
    let rows = files
        .into_iter()
        .map(|file| {
            vec![
                Cell::from(listed_name(&location, &file.path)),
                Cell::from(file.size as i64),
                Cell::from(file.digest),
                Cell::from(shown_time(file.modified_micros)),
            ]
        })
        .collect();
    Outcome::table(&columns, rows)
}

pub(crate) async fn remove(
    context: &StatementContext,
    _work: &mut Work,
    remove: &RemoveFiles,
) -> Result<Outcome, UserError> {
    let columns = [("name", SqlType::TEXT), ("result", SqlType::TEXT)];
    let location = resolve_stage(context, &remove.location, Privilege::Write).await?;
    if context.describe_only {
        return Outcome::table(&columns, Vec::new());
    }
    note_stage(context, &location, Privilege::Write);
    let (files, _) = select_files(context, &location, None, remove.pattern.as_deref()).await?;
    let mut rows = Vec::with_capacity(files.len());
    for file in files {
        context.shared.stages.delete(location.stage_id, &file.path).await?;
        rows.push(vec![Cell::from(listed_name(&location, &file.path)), Cell::from("removed")]);
    }
    Outcome::table(&columns, rows)
}
