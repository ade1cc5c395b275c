//! A stage file's bytes as a blocking reader, unpacked.

use std::io::Read;

use frazil_common::UserError;
use futures::StreamExt;

use crate::api::StageBytes;
use crate::stage_files::StageFiles;
use crate::stages::file_format::Compression;

/// A stream of bytes as a blocking reader, a few parts ahead.
struct BlockingBytes {
    parts: tokio::sync::mpsc::Receiver<std::io::Result<bytes::Bytes>>,
    current: bytes::Bytes,
}

impl BlockingBytes {
    fn start(
        mut stream: futures::stream::BoxStream<'static, std::io::Result<bytes::Bytes>>,
    ) -> Self {
        let (sender, parts) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            while let Some(part) = stream.next().await {
                if sender.send(part).await.is_err() {
                    break;
                }
            }
        });
        BlockingBytes { parts, current: bytes::Bytes::new() }
    }
}

impl Read for BlockingBytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            match self.parts.blocking_recv() {
                Some(part) => self.current = part?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// A stage file's bytes, not yet unpacked.
pub(crate) struct StageInput {
    bytes: BlockingBytes,
    compression: Compression,
}

impl StageInput {
    /// The unpacking reader. Reads at once, so call it where blocking is allowed.
    ///
    /// # Errors
    /// The unpacking cannot be set up.
    pub fn reader(self) -> std::io::Result<Box<dyn Read + Send>> {
        Ok(match self.compression {
            Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(self.bytes)),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(self.bytes)?),
            Compression::Deflate => Box::new(flate2::read::ZlibDecoder::new(self.bytes)),
            Compression::RawDeflate => Box::new(flate2::read::DeflateDecoder::new(self.bytes)),
            Compression::Auto | Compression::None | Compression::Snappy | Compression::Lz4 => {
                Box::new(self.bytes)
            }
        })
    }
}

/// The packing a file's name tells, where the format says AUTO.
fn by_name(path: &str) -> Result<Compression, UserError> {
    let extension = path.rsplit('/').next().unwrap_or(path).rsplit_once('.').map(|(_, e)| e);
    Ok(match extension.unwrap_or_default().to_ascii_lowercase().as_str() {
        "gz" => Compression::Gzip,
        "zst" => Compression::Zstd,
        "deflate" => Compression::Deflate,
        "raw_deflate" => Compression::RawDeflate,
        "bz2" => return Err(UserError::unsupported("bzip2-compressed files")),
        "br" => return Err(UserError::unsupported("Brotli-compressed files")),
        _ => Compression::None,
    })
}

/// Opens a stage file.
///
/// # Errors
/// A file that is not there; a packing that is not supported, by name.
pub(crate) async fn open(
    stages: &StageFiles,
    stage_id: i64,
    path: &str,
    compression: Compression,
) -> Result<StageInput, UserError> {
    let compression = match compression {
        Compression::Auto => by_name(path)?,
        other => other,
    };
    Ok(StageInput { bytes: BlockingBytes::start(stages.get(stage_id, path).await?), compression })
}
