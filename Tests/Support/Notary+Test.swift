import EventLog
import Logging
import Proof
import Secrets

extension TestDatabase {
    /// Signs the log of this database with a key of the test's own.
    ///
    /// - Parameter directory: keeps the last checkpoint.
    package func notary(
        key: SigningKey, directory: String, replacesKey: Bool = false
    ) -> Notary {
        Notary(
            key: key, keptIn: PrivateFile(path: "\(directory)/signing.key.checkpoint"),
            replacesKey: replacesKey, conninfo: conninfo, logger: .silent)
    }
}
