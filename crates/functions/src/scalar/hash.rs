//! Digests, encodings, UUIDs and HASH.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use datafusion::logical_expr::Expr;
use frazil_common::{Code, SqlType, UserError, excerpt};
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::arguments::Arguments;
use crate::cast::{CastMode, cast};
use crate::kernel::{KernelResult, Rows, call_volatile};
use crate::registry::Registry;
use crate::typed::TypedExpr;
use crate::variant::{append_key, row_to_value};

type Bound = Result<TypedExpr, UserError>;
const TEXT: SqlType = SqlType::TEXT;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["MD5", "MD5_HEX"], |a| {
        a.expect(1..=1)?;
        let args = vec![bytes(&a, 0)?];
        Ok(a.call("frazil_md5", args, SqlType::Varchar { length: 32 }, md5_hex))
    });
    registry.add(&["MD5_BINARY"], |a| {
        a.expect(1..=1)?;
        let args = vec![bytes(&a, 0)?];
        Ok(a.call("frazil_md5_binary", args, SqlType::Binary { length: 16 }, md5_binary))
    });
    registry.add(&["SHA1", "SHA1_HEX"], |a| {
        a.expect(1..=1)?;
        let args = vec![bytes(&a, 0)?];
        Ok(a.call("frazil_sha1", args, SqlType::Varchar { length: 40 }, sha1_hex))
    });
    registry.add(&["SHA1_BINARY"], |a| {
        a.expect(1..=1)?;
        let args = vec![bytes(&a, 0)?];
        Ok(a.call("frazil_sha1_binary", args, SqlType::Binary { length: 20 }, sha1_binary))
    });
    registry.add(&["SHA2", "SHA2_HEX"], |a| {
        let args = sha2_args(&a)?;
        Ok(a.call("frazil_sha2", args, SqlType::Varchar { length: 128 }, sha2_hex))
    });
    registry.add(&["SHA2_BINARY"], |a| {
        let args = sha2_args(&a)?;
        Ok(a.call("frazil_sha2_binary", args, SqlType::Binary { length: 64 }, sha2_binary))
    });
    registry.add(&["MD5_NUMBER_LOWER64"], |a| {
        a.expect(1..=1)?;
        let args = vec![bytes(&a, 0)?];
        let to = SqlType::Number { precision: 20, scale: 0 };
        Ok(a.call("frazil_md5_number_lower64", args, to, |rows| md5_number(rows, 8)))
    });
    registry.add(&["MD5_NUMBER_UPPER64"], |a| {
        a.expect(1..=1)?;
        let args = vec![bytes(&a, 0)?];
        let to = SqlType::Number { precision: 20, scale: 0 };
        Ok(a.call("frazil_md5_number_upper64", args, to, |rows| md5_number(rows, 0)))
    });
    registry.add(&["TRY_BASE64_DECODE_BINARY"], |a| {
        decoder(a, try_base64_decode_binary, "frazil_try_base64_decode_binary", SqlType::BYTES)
    });
    registry.add(&["TRY_HEX_DECODE_BINARY"], |a| {
        decoder(a, try_hex_decode_binary, "frazil_try_hex_decode_binary", SqlType::BYTES)
    });
    registry.add(&["BASE64_ENCODE"], |a| {
        a.expect(1..=3)?;
        let args = vec![
            bytes(&a, 0)?,
            if a.len() > 1 { a.integer(1)? } else { TypedExpr::number(0, 18, 0).expr },
            if a.len() > 2 { a.text(2)? } else { TypedExpr::text("").expr },
        ];
        Ok(a.call("frazil_base64_encode", args, TEXT, base64_encode))
    });
    registry.add(&["BASE64_DECODE_STRING"], |a| {
        decoder(a, base64_decode_string, "frazil_base64_decode_string", TEXT)
    });
    registry.add(&["BASE64_DECODE_BINARY"], |a| {
        decoder(a, base64_decode_binary, "frazil_base64_decode_binary", SqlType::BYTES)
    });
    registry.add(&["HEX_ENCODE"], |a| {
        a.expect(1..=2)?;
        let args = vec![
            bytes(&a, 0)?,
            if a.len() > 1 { a.integer(1)? } else { TypedExpr::integer(1).expr },
        ];
        Ok(a.call("frazil_hex_encode", args, TEXT, hex_encode))
    });
    registry.add(&["HEX_DECODE_STRING"], |a| {
        decoder(a, hex_decode_string, "frazil_hex_decode_string", TEXT)
    });
    registry.add(&["HEX_DECODE_BINARY"], |a| {
        decoder(a, hex_decode_binary, "frazil_hex_decode_binary", SqlType::BYTES)
    });
    registry.add(&["TRY_BASE64_DECODE_STRING"], |a| {
        decoder(a, try_base64_decode_string, "frazil_try_base64_decode_string", TEXT)
    });
    registry.add(&["TRY_HEX_DECODE_STRING"], |a| {
        decoder(a, try_hex_decode_string, "frazil_try_hex_decode_string", TEXT)
    });
    registry.add(&["UUID_STRING"], |a| {
        if a.len() > 0 {
            a.expect(2..=2)?;
            let to = SqlType::Varchar { length: 36 };
            return a.kernel("frazil_uuid_of_name", &[TEXT], to, uuid_of_name);
        }
        Ok(call_volatile(
            "frazil_uuid_string",
            vec![],
            SqlType::Varchar { length: 36 },
            uuid_string,
        ))
    });
    registry.add(&["HASH"], |a| {
        a.expect(1..=usize::MAX)?;
        let args = a.values.iter().map(|v| v.expr.clone()).collect();
        let mut out =
            a.call("frazil_hash", args, SqlType::Number { precision: 19, scale: 0 }, hash);
        out.nullable = false;
        Ok(out)
    });
}

/// Text as its UTF-8 bytes, binary as it is.
fn bytes(a: &Arguments, index: usize) -> Result<Expr, UserError> {
    let value = a.get(index)?.clone();
    if matches!(value.sql_type, SqlType::Binary { .. }) {
        return Ok(value.expr);
    }
    let text = cast(value, &TEXT, CastMode::Implicit, a.facts)?;
    Ok(a.call("frazil_text_bytes", vec![text.expr], SqlType::BYTES, text_bytes).expr)
}

fn text_bytes(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_bytes(|row| Ok(texts.get(row).map(|t| t.as_bytes().to_vec())))
}

fn decoder(a: Arguments, run: fn(&Rows) -> KernelResult, name: &'static str, to: SqlType) -> Bound {
    a.expect(1..=1)?;
    let mut out = a.kernel(name, &[TEXT], to, run)?;
    out.nullable = true;
    Ok(out)
}

fn sha2_args(a: &Arguments) -> Result<Vec<Expr>, UserError> {
    a.expect(1..=2)?;
    let size = if a.len() > 1 { a.integer(1)? } else { TypedExpr::number(256, 18, 0).expr };
    Ok(vec![bytes(a, 0)?, size])
}

fn sha2(bytes: &[u8], size: i64) -> Result<Vec<u8>, UserError> {
    match size {
        224 => Ok(Sha224::digest(bytes).to_vec()),
        0 | 256 => Ok(Sha256::digest(bytes).to_vec()),
        384 => Ok(Sha384::digest(bytes).to_vec()),
        512 => Ok(Sha512::digest(bytes).to_vec()),
        _ => Err(UserError::new(
            Code::InvalidArgument,
            format!("Invalid digest size {size} for function SHA2"),
        )),
    }
}

fn sha2_hex(rows: &Rows) -> KernelResult {
    let (values, sizes) = (rows.bytes(0)?, rows.integers(1)?);
    rows.build_texts(|row| match (values.get(row), sizes.get(row)) {
        (Some(value), Some(size)) => Ok(Some(hex::encode(sha2(value, size)?))),
        _ => Ok(None),
    })
}

fn sha2_binary(rows: &Rows) -> KernelResult {
    let (values, sizes) = (rows.bytes(0)?, rows.integers(1)?);
    rows.build_bytes(|row| match (values.get(row), sizes.get(row)) {
        (Some(value), Some(size)) => Ok(Some(sha2(value, size)?)),
        _ => Ok(None),
    })
}

fn md5_hex(rows: &Rows) -> KernelResult {
    let values = rows.bytes(0)?;
    rows.build_texts(|row| Ok(values.get(row).map(|v| hex::encode(super::digest::md5(v)))))
}

fn md5_binary(rows: &Rows) -> KernelResult {
    let values = rows.bytes(0)?;
    rows.build_bytes(|row| Ok(values.get(row).map(|v| super::digest::md5(v).to_vec())))
}

fn sha1_hex(rows: &Rows) -> KernelResult {
    let values = rows.bytes(0)?;
    rows.build_texts(|row| Ok(values.get(row).map(|v| hex::encode(super::digest::sha1(v)))))
}

fn sha1_binary(rows: &Rows) -> KernelResult {
    let values = rows.bytes(0)?;
    rows.build_bytes(|row| Ok(values.get(row).map(|v| super::digest::sha1(v).to_vec())))
}

/// Eight bytes of the digest as a number without a sign.
fn md5_number(rows: &Rows, from: usize) -> KernelResult {
    let values = rows.bytes(0)?;
    rows.build_numbers(|row| {
        Ok(values.get(row).map(|value| {
            let digest = super::digest::md5(value);
            digest[from..from + 8].iter().fold(0i128, |number, byte| number << 8 | *byte as i128)
        }))
    })
}

/// The last three characters of the alphabet may be others: for 62, 63 and padding.
fn alphabet(text: &str, special: &str) -> Result<String, UserError> {
    let special: Vec<char> = special.chars().collect();
    if special.len() > 3 || special.iter().any(|c| c.is_ascii_alphanumeric() || !c.is_ascii()) {
        return Err(UserError::new(
            Code::InvalidArgument,
            "The alphabet of a base64 function takes up to three characters for '+', '/' and '='",
        ));
    }
    let replaced = text.chars().map(|c| {
        let index = ['+', '/', '='].iter().position(|usual| *usual == c);
        index.and_then(|index| special.get(index)).copied().unwrap_or(c)
    });
    Ok(replaced.collect())
}

fn base64_encode(rows: &Rows) -> KernelResult {
    let (values, lengths, special) = (rows.bytes(0)?, rows.integers(1)?, rows.texts(2)?);
    rows.build_texts(|row| {
        let (Some(value), Some(length), Some(special)) =
            (values.get(row), lengths.get(row), special.get(row))
        else {
            return Ok(None);
        };
        let text = alphabet(&BASE64.encode(value), special)?;
        if length <= 0 {
            return Ok(Some(text));
        }
        let chars: Vec<char> = text.chars().collect();
        let lines: Vec<String> =
            chars.chunks(length as usize).map(|line| line.iter().collect()).collect();
        Ok(Some(lines.join("\n")))
    })
}

fn hex_encode(rows: &Rows) -> KernelResult {
    let (values, cases) = (rows.bytes(0)?, rows.integers(1)?);
    rows.build_texts(|row| match (values.get(row), cases.get(row)) {
        (Some(value), Some(0)) => Ok(Some(hex::encode(value))),
        (Some(value), Some(_)) => Ok(Some(hex::encode_upper(value))),
        _ => Ok(None),
    })
}

fn illegal(text: &str, what: &str) -> UserError {
    UserError::new(
        Code::InvalidHex,
        format!("The following string is not a legal {what}-encoded value: '{}'", excerpt(text)),
    )
}

fn from_base64(text: &str) -> Result<Vec<u8>, UserError> {
    BASE64.decode(text).map_err(|_| illegal(text, "base64"))
}

fn from_hex(text: &str) -> Result<Vec<u8>, UserError> {
    hex::decode(text).map_err(|_| illegal(text, "hex"))
}

fn utf8(bytes: Vec<u8>) -> Result<String, UserError> {
    String::from_utf8(bytes).map_err(|_| UserError::new(Code::FailedCast, "Invalid UTF8 detected"))
}

fn decode_text(
    rows: &Rows,
    read: fn(&str) -> Result<Vec<u8>, UserError>,
    lenient: bool,
) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_texts(|row| match texts.get(row) {
        Some(text) => crate::cast::attempt(lenient, read(text).and_then(utf8)),
        None => Ok(None),
    })
}

fn base64_decode_string(rows: &Rows) -> KernelResult {
    decode_text(rows, from_base64, false)
}

fn try_base64_decode_string(rows: &Rows) -> KernelResult {
    decode_text(rows, from_base64, true)
}

fn hex_decode_string(rows: &Rows) -> KernelResult {
    decode_text(rows, from_hex, false)
}

fn try_hex_decode_string(rows: &Rows) -> KernelResult {
    decode_text(rows, from_hex, true)
}

fn base64_decode_binary(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_bytes(|row| Ok(texts.get(row).map(from_base64).transpose()?))
}

fn hex_decode_binary(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_bytes(|row| Ok(texts.get(row).map(from_hex).transpose()?))
}

fn try_base64_decode_binary(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_bytes(|row| Ok(texts.get(row).and_then(|text| from_base64(text).ok())))
}

fn try_hex_decode_binary(rows: &Rows) -> KernelResult {
    let texts = rows.texts(0)?;
    rows.build_bytes(|row| Ok(texts.get(row).and_then(|text| from_hex(text).ok())))
}

/// Version 5: the SHA-1 of a namespace and a name (RFC 9562).
fn uuid_of_name(rows: &Rows) -> KernelResult {
    let (spaces, names) = (rows.texts(0)?, rows.texts(1)?);
    rows.build_texts(|row| {
        let (Some(space), Some(name)) = (spaces.get(row), names.get(row)) else { return Ok(None) };
        let space: uuid::Uuid = space.parse().map_err(|_| {
            UserError::new(Code::InvalidArgument, format!("Invalid UUID string: {space}"))
        })?;
        let mut input = space.as_bytes().to_vec();
        input.extend_from_slice(name.as_bytes());
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&super::digest::sha1(&input)[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x50;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Ok(Some(uuid::Uuid::from_bytes(bytes).to_string()))
    })
}

fn uuid_string(rows: &Rows) -> KernelResult {
    rows.build_texts(|_| Ok(Some(uuid::Uuid::new_v4().to_string())))
}

/// Stable 64-bit hash (FNV-1a, then mixed) of a key; equal values have equal hashes.
pub(crate) fn stable_hash(key: &[u8]) -> i64 {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key {
        state = (state ^ *byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
    }
    state ^= state >> 33;
    state = state.wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^= state >> 33;
    state = state.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (state ^ (state >> 33)) as i64
}

/// Hash of all arguments of a row; NULLs count.
pub(crate) fn row_hash(rows: &Rows, row: usize, key: &mut Vec<u8>) -> KernelResult<i64> {
    key.clear();
    for input in &rows.inputs {
        match row_to_value(input.array.as_ref(), input.row(row))? {
            Some(value) => {
                key.push(1);
                append_key(&value, key);
            }
            None => key.push(0),
        }
    }
    Ok(stable_hash(key))
}

fn hash(rows: &Rows) -> KernelResult {
    let mut key = Vec::new();
    rows.build_numbers(|row| Ok(Some(row_hash(rows, row, &mut key)? as i128)))
}
