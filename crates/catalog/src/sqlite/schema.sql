-- DuckLake 1.0, table by table as its reference implementation makes them on SQLite.
CREATE TABLE IF NOT EXISTS ducklake_metadata("key" VARCHAR NOT NULL, "value" VARCHAR NOT NULL, "scope" VARCHAR, scope_id BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_snapshot(snapshot_id BIGINT PRIMARY KEY, snapshot_time VARCHAR, schema_version BIGINT, next_catalog_id BIGINT, next_file_id BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_snapshot_changes(snapshot_id BIGINT PRIMARY KEY, changes_made VARCHAR, author VARCHAR, commit_message VARCHAR, commit_extra_info VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_schema(schema_id BIGINT PRIMARY KEY, schema_uuid VARCHAR, begin_snapshot BIGINT, end_snapshot BIGINT, schema_name VARCHAR, path VARCHAR, path_is_relative BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_table(table_id BIGINT, table_uuid VARCHAR, begin_snapshot BIGINT, end_snapshot BIGINT, schema_id BIGINT, table_name VARCHAR, path VARCHAR, path_is_relative BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_view(view_id BIGINT, view_uuid VARCHAR, begin_snapshot BIGINT, end_snapshot BIGINT, schema_id BIGINT, view_name VARCHAR, dialect VARCHAR, "sql" VARCHAR, column_aliases VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_tag(object_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, "key" VARCHAR, "value" VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_column_tag(table_id BIGINT, column_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, "key" VARCHAR, "value" VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_data_file(data_file_id BIGINT PRIMARY KEY, table_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, file_order BIGINT, path VARCHAR, path_is_relative BIGINT, file_format VARCHAR, record_count BIGINT, file_size_bytes BIGINT, footer_size BIGINT, row_id_start BIGINT, partition_id BIGINT, encryption_key VARCHAR, mapping_id BIGINT, partial_max BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_file_column_stats(data_file_id BIGINT, table_id BIGINT, column_id BIGINT, column_size_bytes BIGINT, value_count BIGINT, null_count BIGINT, min_value VARCHAR, max_value VARCHAR, contains_nan BIGINT, extra_stats VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_file_variant_stats(data_file_id BIGINT, table_id BIGINT, column_id BIGINT, variant_path VARCHAR, shredded_type VARCHAR, column_size_bytes BIGINT, value_count BIGINT, null_count BIGINT, min_value VARCHAR, max_value VARCHAR, contains_nan BIGINT, extra_stats VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_delete_file(delete_file_id BIGINT PRIMARY KEY, table_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, data_file_id BIGINT, path VARCHAR, path_is_relative BIGINT, format VARCHAR, delete_count BIGINT, file_size_bytes BIGINT, footer_size BIGINT, encryption_key VARCHAR, partial_max BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_column(column_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, table_id BIGINT, column_order BIGINT, column_name VARCHAR, column_type VARCHAR, initial_default VARCHAR, default_value VARCHAR, nulls_allowed BIGINT, parent_column BIGINT, default_value_type VARCHAR, default_value_dialect VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_table_stats(table_id BIGINT, record_count BIGINT, next_row_id BIGINT, file_size_bytes BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_table_column_stats(table_id BIGINT, column_id BIGINT, contains_null BIGINT, contains_nan BIGINT, min_value VARCHAR, max_value VARCHAR, extra_stats VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_partition_info(partition_id BIGINT, table_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_partition_column(partition_id BIGINT, table_id BIGINT, partition_key_index BIGINT, column_id BIGINT, "transform" VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_file_partition_value(data_file_id BIGINT, table_id BIGINT, partition_key_index BIGINT, partition_value VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_files_scheduled_for_deletion(data_file_id BIGINT, path VARCHAR, path_is_relative BIGINT, schedule_start VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_inlined_data_tables(table_id BIGINT, table_name VARCHAR, schema_version BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_column_mapping(mapping_id BIGINT, table_id BIGINT, "type" VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_name_mapping(mapping_id BIGINT, column_id BIGINT, source_name VARCHAR, target_field_id BIGINT, parent_column BIGINT, is_partition BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_schema_versions(begin_snapshot BIGINT, schema_version BIGINT, table_id BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_macro(schema_id BIGINT, macro_id BIGINT, macro_name VARCHAR, begin_snapshot BIGINT, end_snapshot BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_macro_impl(macro_id BIGINT, impl_id BIGINT, dialect VARCHAR, "sql" VARCHAR, "type" VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_macro_parameters(macro_id BIGINT, impl_id BIGINT, column_id BIGINT, parameter_name VARCHAR, parameter_type VARCHAR, default_value VARCHAR, default_value_type VARCHAR);
CREATE TABLE IF NOT EXISTS ducklake_sort_info(sort_id BIGINT, table_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT);
CREATE TABLE IF NOT EXISTS ducklake_sort_expression(sort_id BIGINT, table_id BIGINT, sort_key_index BIGINT, expression VARCHAR, dialect VARCHAR, sort_direction VARCHAR, null_order VARCHAR);
-- Extra indexes are allowed by the format; file lists are read per table and snapshot.
CREATE INDEX IF NOT EXISTS frazil_data_file_begin ON ducklake_data_file(table_id, begin_snapshot);
CREATE INDEX IF NOT EXISTS frazil_data_file_end ON ducklake_data_file(table_id, end_snapshot);
CREATE INDEX IF NOT EXISTS frazil_delete_file_begin ON ducklake_delete_file(table_id, begin_snapshot);
CREATE INDEX IF NOT EXISTS frazil_delete_file_end ON ducklake_delete_file(table_id, end_snapshot);
CREATE INDEX IF NOT EXISTS frazil_file_column_stats ON ducklake_file_column_stats(data_file_id);
CREATE INDEX IF NOT EXISTS frazil_file_partition_value ON ducklake_file_partition_value(data_file_id);
CREATE INDEX IF NOT EXISTS frazil_table_stats ON ducklake_table_stats(table_id);
CREATE INDEX IF NOT EXISTS frazil_table_column_stats ON ducklake_table_column_stats(table_id);
CREATE INDEX IF NOT EXISTS frazil_column ON ducklake_column(table_id);
CREATE INDEX IF NOT EXISTS frazil_ducklake_column_tag ON ducklake_column_tag(table_id);
CREATE INDEX IF NOT EXISTS frazil_table ON ducklake_table(table_id);
CREATE INDEX IF NOT EXISTS frazil_ducklake_tag ON ducklake_tag(object_id);
-- Frazil's own tables.
CREATE TABLE IF NOT EXISTS frazil_database(database_id INTEGER NOT NULL, database_name TEXT NOT NULL, comment TEXT, transient INTEGER NOT NULL, created_micros INTEGER NOT NULL, begin_snapshot INTEGER NOT NULL, end_snapshot INTEGER);
CREATE TABLE IF NOT EXISTS frazil_statement(query_id TEXT PRIMARY KEY, before_snapshot INTEGER NOT NULL, snapshot_id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS frazil_number_series(counter_id INTEGER PRIMARY KEY AUTOINCREMENT, next_value INTEGER NOT NULL, step INTEGER NOT NULL);
-- Tags of Frazil's own: other clients refuse tags they do not know in DuckLake's tables.
CREATE TABLE IF NOT EXISTS frazil_tag(object_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, "key" VARCHAR, "value" VARCHAR);
CREATE TABLE IF NOT EXISTS frazil_column_tag(table_id BIGINT, column_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT, "key" VARCHAR, "value" VARCHAR);
CREATE INDEX IF NOT EXISTS frazil_tag_object ON frazil_tag(object_id);
CREATE INDEX IF NOT EXISTS frazil_column_tag_table ON frazil_column_tag(table_id);
-- What COPY INTO loaded; `location` is <stage id>/<path>.
CREATE TABLE IF NOT EXISTS frazil_load(load_id INTEGER PRIMARY KEY AUTOINCREMENT, table_id BIGINT NOT NULL, snapshot_id BIGINT NOT NULL, forgotten INTEGER NOT NULL, location TEXT NOT NULL, stage TEXT NOT NULL, path TEXT NOT NULL, etag TEXT NOT NULL, bytes BIGINT NOT NULL, loaded_on BIGINT NOT NULL, status TEXT NOT NULL, rows_parsed BIGINT NOT NULL, rows_loaded BIGINT NOT NULL, error_limit BIGINT NOT NULL, error_count BIGINT NOT NULL, first_error TEXT, first_error_line BIGINT, first_error_character BIGINT, first_error_column TEXT, forced INTEGER NOT NULL, user_name TEXT NOT NULL, query_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS frazil_load_error(load_id INTEGER NOT NULL, message TEXT NOT NULL, file TEXT NOT NULL, line BIGINT NOT NULL, "character" BIGINT, byte_offset BIGINT NOT NULL, category TEXT NOT NULL, code BIGINT NOT NULL, sql_state TEXT NOT NULL, column_name TEXT, row_number BIGINT NOT NULL, start_line BIGINT NOT NULL, record TEXT);
CREATE INDEX IF NOT EXISTS frazil_load_error_load ON frazil_load_error(load_id);
CREATE INDEX IF NOT EXISTS frazil_load_file ON frazil_load(table_id, location);
CREATE INDEX IF NOT EXISTS frazil_load_time ON frazil_load(loaded_on);
-- The last rewrite of a table's layout: rows moved between files and the catalog, none changed.
CREATE TABLE IF NOT EXISTS frazil_layout(table_id INTEGER PRIMARY KEY, snapshot_id INTEGER NOT NULL);
-- Tables of which rows that ended before a snapshot are gone, but for those that the kept snapshots show.
CREATE TABLE IF NOT EXISTS frazil_expired_rows(table_id INTEGER PRIMARY KEY, before_snapshot INTEGER NOT NULL, kept TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS frazil_inlined_data_tables ON ducklake_inlined_data_tables(table_id);
CREATE INDEX IF NOT EXISTS frazil_schema_versions ON ducklake_schema_versions(table_id);
