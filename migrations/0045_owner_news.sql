-- What the owner is told that is of no single mailout: of DNS records (0040), and of the standing as a sender.
alter table domain_notices rename to owner_news;
alter table owner_news rename column domain to about;
alter table owner_news rename constraint domain_notices_pkey to owner_news_pkey;
alter table owner_news rename constraint domain_notices_way_check to owner_news_way_check;
alter table owner_news rename constraint domain_notices_outcome_check to owner_news_outcome_check;
alter index domain_notices_open rename to owner_news_open;
alter sequence domain_notices_id_seq rename to owner_news_id_seq;
alter table owner_news add column page text not null default 'domain';   -- of the dashboard: it says more
drop function if exists claim_domain_notice(text, text);
drop function if exists settle_domain_notice(bigint, text, text, double precision);
