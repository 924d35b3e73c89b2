-- PDFs of pages are kept beside the pictures, as they are (docs/assets.md). They have no width.
alter table assets
    alter column width drop not null,
    alter column height drop not null,
    drop constraint assets_media_type_check,
    drop constraint assets_extension_check,
    add constraint assets_media_type_check check (media_type in ('image/png', 'image/jpeg', 'image/gif', 'application/pdf')),
    add constraint assets_extension_check check (extension in ('png', 'jpg', 'gif', 'pdf')),
    add constraint assets_is_picture_or_file check ((extension = 'pdf') = (width is null) and (width is null) = (height is null)
                                                    and (extension = 'pdf') = (media_type = 'application/pdf'));
