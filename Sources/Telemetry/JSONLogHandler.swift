import Glibc
import Logging
import Synchronization

/// A log handler that writes each message as one line of JSON to standard error.
///
/// A line reads `{"at":…,"level":…,"label":…,"message":…}`, then the metadata, its keys beside
/// these and in order. A metadata key that would repeat one of these four gets the prefix `meta_`.
package struct JSONLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let write: @Sendable ([UInt8]) -> Void

    /// Makes a handler for the logger `label` that writes to standard error.
    package init(
        label: String,
        level: Logger.Level,
        metadataProvider: Logger.MetadataProvider? = nil
    ) {
        self.init(
            label: label, level: level, metadataProvider: metadataProvider,
            write: standardError(write:))
    }

    init(
        label: String,
        level: Logger.Level,
        metadataProvider: Logger.MetadataProvider?,
        write: @escaping @Sendable ([UInt8]) -> Void
    ) {
        self.label = label
        self.logLevel = level
        self.metadataProvider = metadataProvider
        self.write = write
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line = JSONLine()
        line.append(key: "at", .string(Timestamp.now.description))
        line.append(key: "level", .string(event.level.rawValue))
        line.append(key: "label", .string(label))
        line.append(key: "message", .string(event.message.description))
        for (key, value) in allMetadata(of: event).sorted(by: { $0.key < $1.key }) {
            line.append(key: Self.ownKeys.contains(key) ? "meta_\(key)" : key, value)
        }
        write(line.finished())
    }

    private static let ownKeys: Set<String> = ["at", "level", "label", "message"]

    /// The metadata of the handler, of its provider and of the event, the later one winning.
    private func allMetadata(of event: LogEvent) -> Logger.Metadata {
        var all = metadata
        if let provided = metadataProvider?.get() {
            all.merge(provided) { $1 }
        }
        if let given = event.metadata {
            all.merge(given) { $1 }
        }
        if let error = event.error, all["error"] == nil {
            all["error"] = .string("\(error)")
        }
        return all
    }
}

/// Makes every logger of the process write JSON lines to standard error, from `level` up.
package func bootstrapLogging(level: Logger.Level) {
    LoggingSystem.bootstrap(
        { JSONLogHandler(label: $0, level: level, metadataProvider: $1) },
        metadataProvider: nil)
}

/// Keeps lines longer than the kernel writes at once from being mixed.
private let standardErrorLock = Mutex<Void>(())

private func standardError(write line: [UInt8]) {
    standardErrorLock.withLock { _ in
        var written = Glibc.write(STDERR_FILENO, line, line.count)
        var rest = line[...]
        while written != rest.count {
            if written < 0 {
                // With standard error gone there is nowhere left to report to.
                guard errno == EINTR else { return }
            } else {
                rest = rest.dropFirst(written)
            }
            written = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
        }
    }
}
