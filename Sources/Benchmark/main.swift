Interruption.take()
await LedgerBench.start()
