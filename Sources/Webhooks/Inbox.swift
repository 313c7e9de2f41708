import Synchronization

/// What other threads have for the dispatcher's.
final class Inbox: Sendable {
    enum Message: Sendable {
        case tail(Result<LogBlock, any Error>)
        case history(BlockRequest, Result<LogBlock, any Error>)
        case loaded(
            webhook: String, lane: Int, batch: Int, Result<LogBlock, any Error>)
        case kept(Result<Void, any Error>)
        case redeliver(String)
        case requested(webhook: String, Result<[SetAside], any Error>)
        case recorded(webhook: String, Result<Void, any Error>)
        case test(String, @Sendable (TestReport?) -> Void)
        case status(@Sendable ([String: EndpointStatus]) -> Void)
        case stop
    }

    private struct Contents {
        var messages: [Message] = []
        /// Whether nobody takes messages any more.
        var isClosed = false
    }

    private let contents = Mutex(Contents())
    /// A closure that stood in the lock by itself would be wrapped anew at each access.
    private struct Waker {
        var wake: @Sendable () -> Void = {}
    }

    /// Wakes the thread from its wait for sockets.
    private let waker = Mutex(Waker())

    func post(_ message: Message) {
        let isLate = contents.withLock { contents in
            if !contents.isClosed { contents.messages.append(message) }
            return contents.isClosed
        }
        if isLate { message.answerNothing() } else { wake() }
    }

    /// Takes no more messages, and answers those that are left.
    func close() {
        contents.withLock { $0.isClosed = true }
        for message in take() { message.answerNothing() }
    }

    func wake() {
        let waker = waker.withLock { $0 }
        waker.wake()
    }

    func onWake(_ action: @escaping @Sendable () -> Void) { waker.withLock { $0.wake = action } }

    func take() -> [Message] {
        contents.withLock { contents in
            defer { contents.messages = [] }
            return contents.messages
        }
    }
}

extension Inbox.Message {
    /// Lets whoever waits for an answer go on without one.
    fileprivate func answerNothing() {
        switch self {
        case .test(_, let answer): answer(nil)
        case .status(let answer): answer([:])
        default: return
        }
    }
}

/// A stretch of the log that lanes wait for.
struct BlockRequest: Hashable, Sendable {
    let after: Int64
    let through: Int64
}

extension Inbox {
    /// Does something elsewhere and leaves its result as a message.
    func post<Value: Sendable>(
        from work: @escaping @Sendable () async throws -> Value,
        as message: @escaping @Sendable (Result<Value, any Error>) -> Message
    ) {
        Task {
            let result: Result<Value, any Error>
            do { result = .success(try await work()) } catch {
                result = .failure(error)
                // Whoever needs it tries again: not at once.
                try? await Task.sleep(for: .milliseconds(500))
            }
            post(message(result))
        }
    }
}
