require [ "foreverypart", "mime", "enclose" ];
foreverypart
{
  if header :mime :param "filename"
     :matches ["Content-Type", "Content-Disposition"]
       ["*.com", "*.exe", "*.vbs", "*.scr",
        "*.pif", "*.hta", "*.bat", "*.zip" ]
  {
    # these attachment types are executable
    enclose :subject "Warning" text:
WARNING! The enclosed message contains executable attachments.
.
;
    break;
  }
}
