LedgerTorture.main()
