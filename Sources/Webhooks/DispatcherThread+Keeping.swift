import Domain
import EventLog
import Logging
import Postgres

/// Keeping what is done, now and then and in the end.
extension DispatcherThread {
    func keep(_ now: Timestamp) {
        guard !isFenced, let changes = keeper.due(now) else { return }
        let (store, inbox, epoch) = (dispatcher.store, dispatcher.inbox, dispatcher.epoch)
        inbox.post(
            from: { try await store.write(changes, epoch: epoch) }, as: { .kept($0) })
    }

    func kept(_ result: Result<Void, any Error>) {
        switch result {
        case .success:
            for (id, position) in keeper.succeeded() {
                endpoints[id]?.redelivered.remove(position)
            }
        case .failure(let error):
            if error is FencedError { isFenced = true }
            keeper.failed(dispatcher.clock.now())
            dispatcher.logger.error(
                "webhooks", metadata: ["while": "keeping progress", "error": "\(error)"])
        }
        activateAll()
    }

    /// Ends: gives requests in flight a moment, and keeps what is done.
    func finish() {
        let deadline = ContinuousClock.now + Self.stopPatience
        while !flights.isEmpty, ContinuousClock.now < deadline {
            transfers.run(timeout: deadline - ContinuousClock.now) { ended($0, $1) }
        }
        for test in tests.values { test.answer(nil) }
        dispatcher.inbox.close()
        guard !isFenced else { return }
        // A write that is under way is older than this one, and the connection does one at a time.
        let changes = keeper.everything(endpoints.values)
        let (store, epoch) = (dispatcher.store, dispatcher.epoch)
        let done = Signal()
        let logger = dispatcher.logger
        Task {
            do { try await store.write(changes, epoch: epoch) } catch {
                logger.error(
                    "webhooks", metadata: ["while": "keeping progress", "error": "\(error)"])
            }
            done.wake()
        }
        done.wait(timeout: nil)
    }
}
