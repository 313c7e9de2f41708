import Proof
import Secrets

/// The file with the key that signs checkpoints, outside the database.
package enum SigningKeyFile {
    /// Reads the key; makes a new one where there is no file.
    ///
    /// - Parameter name: of the log, given to a key that is made; one that is there must have it.
    package static func open(_ path: String, name: String?) throws(NotaryError) -> SigningKey {
        let file = PrivateFile(path: path)
        do {
            let new = try SigningKey(name: name)
            try file.createIfMissing { Array("\(new.secretText)\n".utf8) }
            let key = try SigningKey(String(decoding: try file.read(), as: UTF8.self))
            if let name, name != key.verifierKey.name {
                throw NotaryError.refused(
                    "\(path) is the key of log \(key.verifierKey.name), not of \(name); a log's name "
                        + "is given once, when its key is made")
            }
            return key
        } catch let error as NotaryError {
            throw error
        } catch PrivateFileError.openToOthers(let mode) {
            throw .refused(
                "others can use the signing key \(path) (mode \(String(mode, radix: 8))): run "
                    + "chmod 600 \(path)")
        } catch PrivateFileError.unusable(let reason) {
            throw .refused("the signing key \(path) can't be used: \(reason)")
        } catch {
            throw .refused("the signing key \(path) can't be used: \(error)")
        }
    }
}
