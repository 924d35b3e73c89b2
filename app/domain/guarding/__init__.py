"""What neither an author nor readers' data can do: hide a mail's footer, or act by a link."""
