//! Aggregates that gather values: LISTAGG, ARRAY_AGG, OBJECT_AGG, MODE, MIN_BY and MAX_BY.

use frazil_common::SqlType;

use super::basic::{arguments, collected, expect, implicit};
use super::{Registry, finish};
use crate::arguments::SMALL_INTEGER;
use crate::typed::TypedExpr;

pub(super) fn register(registry: &mut Registry) {
    registry.add(&["LISTAGG", "STRING_AGG"], |name, mut call, facts| {
        if call.args.is_empty() || call.args.len() > 2 {
            return Err(arguments(name, 2, call.args.len()));
        }
        if call.args.len() == 1 {
            call.args.push(TypedExpr::text(""));
        }
        for value in &mut call.args {
            *value = implicit(value.clone(), &SqlType::TEXT, facts)?;
        }
        let mut out = collected("frazil_listagg", call, SqlType::TEXT, finish::listagg)?;
        out.nullable = false;
        Ok(out)
    });
    registry.add(&["ARRAY_AGG", "ARRAYAGG"], |name, call, _| {
        expect(name, &call, 1)?;
        let mut out = collected("frazil_array_agg", call, SqlType::Array, finish::array_agg)?;
        out.nullable = false;
        Ok(out)
    });
    registry.add(&["ARRAY_UNIQUE_AGG"], |name, mut call, _| {
        expect(name, &call, 1)?;
        call.distinct = true;
        collected("frazil_array_agg", call, SqlType::Array, finish::array_agg)
    });
    registry.add(&["ARRAY_UNION_AGG"], |name, call, _| {
        expect(name, &call, 1)?;
        collected("frazil_array_union_agg", call, SqlType::Array, finish::array_union_agg)
    });
    registry.add(&["OBJECT_AGG", "OBJECTAGG"], |name, mut call, facts| {
        expect(name, &call, 2)?;
        call.args[0] = implicit(call.args[0].clone(), &SqlType::TEXT, facts)?;
        let mut out = collected("frazil_object_agg", call, SqlType::Object, finish::object_agg)?;
        out.nullable = false;
        Ok(out)
    });
    registry.add(&["MODE"], |name, call, _| {
        expect(name, &call, 1)?;
        let to = call.args[0].sql_type.clone();
        collected("frazil_mode", call, to, finish::mode)
    });
    registry.add(&["APPROX_TOP_K"], |name, mut call, facts| {
        if call.args.is_empty() || call.args.len() > 3 {
            return Err(arguments(name, 1, call.args.len()));
        }
        // The number of counters bounds an estimate; these counts are exact.
        call.args.truncate(2);
        if call.args.len() == 1 {
            call.args.push(TypedExpr::number(1, 18, 0));
        }
        call.args[1] = implicit(call.args[1].clone(), &SMALL_INTEGER, facts)?;
        collected("frazil_top_k", call, SqlType::Array, finish::top_k)
    });
    registry.add(&["MIN_BY"], |name, mut call, facts| {
        if call.args.len() == 3 {
            call.args[2] = implicit(call.args[2].clone(), &SMALL_INTEGER, facts)?;
            return collected("frazil_min_by_list", call, SqlType::Array, finish::min_by_list);
        }
        expect(name, &call, 2)?;
        let to = call.args[0].sql_type.clone();
        collected("frazil_min_by", call, to, finish::min_by)
    });
    registry.add(&["MAX_BY"], |name, mut call, facts| {
        if call.args.len() == 3 {
            call.args[2] = implicit(call.args[2].clone(), &SMALL_INTEGER, facts)?;
            return collected("frazil_max_by_list", call, SqlType::Array, finish::max_by_list);
        }
        expect(name, &call, 2)?;
        let to = call.args[0].sql_type.clone();
        collected("frazil_max_by", call, to, finish::max_by)
    });
}
