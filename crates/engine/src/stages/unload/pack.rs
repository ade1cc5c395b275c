//! Bytes on their way into a file, packed.

use std::io::Write;
use std::sync::Arc;

use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use frazil_common::UserError;
use parking_lot::Mutex;

use crate::stages::file_format::Compression;

/// Where an encoder's bytes gather until they are taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Drain(Arc<Mutex<Vec<u8>>>);

impl Drain {
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Write for Drain {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Packs text on its way.
pub(super) enum Packer {
    None(Drain),
    Gzip(GzEncoder<Drain>),
    Deflate(ZlibEncoder<Drain>),
    RawDeflate(DeflateEncoder<Drain>),
    Zstd(zstd::stream::write::Encoder<'static, Drain>),
}

impl Packer {
    pub fn new(compression: Compression, drain: &Drain) -> Result<Packer, UserError> {
        let level = flate2::Compression::default();
        Ok(match compression {
            Compression::Auto | Compression::Gzip => {
                Packer::Gzip(GzEncoder::new(drain.clone(), level))
            }
            Compression::None => Packer::None(drain.clone()),
            Compression::Deflate => Packer::Deflate(ZlibEncoder::new(drain.clone(), level)),
            Compression::RawDeflate => {
                Packer::RawDeflate(DeflateEncoder::new(drain.clone(), level))
            }
            Compression::Zstd => Packer::Zstd(
                zstd::stream::write::Encoder::new(drain.clone(), 0).map_err(UserError::internal)?,
            ),
            other => {
                return Err(UserError::unsupported(format!(
                    "COMPRESSION = {other:?} of text files"
                )));
            }
        })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), UserError> {
        match self {
            Packer::None(drain) => drain.write_all(bytes),
            Packer::Gzip(encoder) => encoder.write_all(bytes),
            Packer::Deflate(encoder) => encoder.write_all(bytes),
            Packer::RawDeflate(encoder) => encoder.write_all(bytes),
            Packer::Zstd(encoder) => encoder.write_all(bytes),
        }
        .map_err(UserError::internal)
    }

    pub fn finish(self) -> Result<(), UserError> {
        match self {
            Packer::None(_) => Ok(()),
            Packer::Gzip(encoder) => encoder.finish().map(drop),
            Packer::Deflate(encoder) => encoder.finish().map(drop),
            Packer::RawDeflate(encoder) => encoder.finish().map(drop),
            Packer::Zstd(encoder) => encoder.finish().map(drop),
        }
        .map_err(UserError::internal)
    }
}
