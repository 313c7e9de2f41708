import ArgumentParser

/// The command `ledger` with all its subcommands.
struct Ledger: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger",
        abstract: "An event-sourced ledger of experiments.",
        discussion: """
            Experiments are kept as YAML, applied to a server, and everything that happens to \
            them is an event that stays.

            To begin:
              ledger serve
              ledger apply -f experiments/
              ledger assign HERO user_1 user_2
              ledger score HERO revenue 12.50 --subject user_1
              ledger results HERO
              ledger history HERO
            """,
        version: "0.1.0",
        subcommands: [
            Serve.self, Apply.self, Get.self, Assign.self, Select.self, Score.self, Results.self,
            Events.self, History.self, Erase.self, Keys.self, WebhookCommand.self,
            RebuildCommand.self, VerifyCommand.self, CheckpointCommand.self, ProofCommand.self,
            VerifyProof.self, Export.self, Import.self, Follow.self, Promote.self,
        ])
}
