import Curl
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization
import TestSupport

/// Stands between a follower and its source, and changes what it is told to.
final class TamperingProxy: Sendable {
    /// Changes the lines of a page, without their line breaks.
    typealias Change = @Sendable (inout [[UInt8]]) -> Void

    private struct Settings {
        var upstream: String
        var change: Change?
    }

    private let settings: Mutex<Settings>
    private let server: Mutex<ServedResponder?> = Mutex(nil)

    private init(_ upstream: String, _ change: Change?) {
        settings = Mutex(Settings(upstream: upstream, change: change))
    }

    static func start(_ upstream: String, _ change: Change? = nil) async throws -> TamperingProxy {
        let proxy = TamperingProxy(upstream, change)
        let served = try await ServedResponder.start { onRunning in
            Application(
                responder: CallbackResponder<BasicRequestContext> { request, _ in
                    try await proxy.answer(request.uri.string)
                },
                configuration: .init(address: .hostname("127.0.0.1", port: 0)),
                onServerRunning: { await onRunning($0.localAddress?.port ?? 0) },
                logger: .silent)
        }
        proxy.server.withLock { $0 = served }
        return proxy
    }

    var url: String { server.withLock { $0?.url } ?? "" }

    func set(upstream: String) { settings.withLock { $0.upstream = upstream } }

    func set(_ change: Change?) { settings.withLock { $0.change = change } }

    func stop() async throws { try await server.withLock { $0.take() }?.stop() }

    private func answer(_ target: String) async throws -> Hummingbird.Response {
        let upstream = settings.withLock { $0.upstream }
        // Shorter waits end sooner, and stop nobody.
        let target = target.replacing("wait=10", with: "wait=1")
        let response = try await onThread {
            try Transfer().perform(
                Curl.Request(url: upstream + target, timeoutMilliseconds: 30_000))
        }
        let change = settings.withLock { $0.change }
        var body = response.body
        if target.hasPrefix("/v1/events"), let change, response.status == 200, !body.isEmpty {
            var lines = body.split(separator: 0x0A, omittingEmptySubsequences: false)
                .dropLast().map(Array.init)
            change(&lines)
            body = lines.flatMap { $0 + [0x0A] }
        }
        var headers = HTTPFields()
        for (name, value) in response.headers
        where ["content-type", "x-ledger-position"].contains(name.lowercased()) {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        return Hummingbird.Response(
            status: .init(code: response.status), headers: headers,
            body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }
}
