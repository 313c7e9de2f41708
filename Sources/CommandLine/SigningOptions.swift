import ArgumentParser
import EventLog
import Glibc
import Logging
import Proof
import Secrets

/// Which key signs the log's checkpoints.
struct SigningOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            The file with the key that signs checkpoints of the log, or LEDGER_SIGNING_KEY; \
            signing.key in the data directory if there is neither. Made on first use; keep a copy \
            apart from the database's. All nodes of one database have the same.
            """, valueName: "file"))
    var signingKey: String?

    @Option(
        help: ArgumentHelp(
            """
            The log's name in its checkpoints, as in example.com/ledger; given once, when the \
            signing key is made.
            """, valueName: "name"))
    var logName: String?

    @Flag(
        help: """
            Go on where another key has signed, which is lost or no longer trusted. Tell everyone \
            who checks this log.
            """)
    var replaceSigningKey = false

    /// Signs with the key, which is made on first use.
    func notary(
        dataDirectory: String, conninfo: String, _ logger: Logger
    ) throws(CommandFailure) -> Notary {
        let named = signingKey ?? Environment.value(.signingKey)
        // With a database of its own the directory may be missing.
        if named == nil { mkdir(dataDirectory, 0o711) }
        let file = named ?? "\(dataDirectory)/signing.key"
        do {
            let key = try SigningKeyFile.open(file, name: logName)
            return Notary(
                key: key, keptIn: PrivateFile(path: "\(file).checkpoint"),
                replacesKey: replaceSigningKey, conninfo: conninfo, logger: logger)
        } catch {
            throw CommandFailure(
                message: "\(error)",
                details: ["It signs the log's checkpoints; name it with --signing-key."])
        }
    }
}
