-- The audit log by a caller and an action, and deliveries in a state: where others lay before them, all of these were looked
-- through, 300,000 in 33 and 31 ms (docs/performance.md). What is looked for lies together now, in the order of the list.
create index if not exists audit_log_by_action on audit_log (by, action, id);
create index if not exists hook_deliveries_state on hook_deliveries (hook_id, state, id);
