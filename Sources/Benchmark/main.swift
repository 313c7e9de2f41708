// Threads inherit the mask, so it is set before there is a second one.
Interruption.block()
await LedgerBench.start()
