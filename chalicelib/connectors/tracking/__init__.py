"""The senders' tracking files: item events become lines, lines become files, files are handed over by SFTP.

    tracking queue ─► service ─► pending lines ─► despatches ─► fixed despatch ─► transport ─► CCCCCC.….ok

Each arrow may break and be taken again; every line leaves exactly once.
"""
