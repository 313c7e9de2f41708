import CommandLine

await Main.run()
