-- Mailouts that are written, scheduled and released in pages and by API.
alter table mailouts drop constraint mailouts_status_check;
alter table mailouts add constraint mailouts_status_check
    check (status in ('draft', 'ready', 'scheduled', 'sending', 'paused', 'sent', 'failed', 'cancelled'));

alter table mailouts
    add column template_id uuid,                          -- whose content block the body fills; null: none
    add column tracking    boolean not null default false,
    -- {"at", "zone", "fallback", "passed"} as the person gave it; scheduled_at is its (first) instant.
    add column schedule    jsonb;
