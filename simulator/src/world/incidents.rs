//! What breaks and what is repaired.

use std::collections::VecDeque;
use std::time::Duration;

use crate::chaos::Action;
use crate::event::{Event, Relief};
use crate::faults::Faults;
use crate::setup::Setup;
use crate::trace::log;
use crate::world::World;

/// What a process that was paused takes for each thing that has come meanwhile.
const CATCH_UP: Duration = Duration::from_micros(100);

impl World {
    pub(super) fn plan_chaos(&mut self, setup: &Setup) {
        for (at, action) in &setup.chaos.incidents {
            self.cx.agenda.plan(*at, Event::Chaos(action.clone()));
        }
        if let Some(at) = setup.chaos.heals_at {
            self.cx.agenda.plan(at, Event::Heal);
        }
    }

    pub(super) fn strike(&mut self, action: Action) {
        log!(self.cx, "!! {action:?}");
        let cx = &mut self.cx;
        match action {
            Action::CrashWorker { worker, power, restart } => self.workers[worker as usize].crash(power, restart, cx),
            Action::PauseWorker { worker, lasts } => self.pause_worker(worker, lasts),
            Action::DrainWorker { worker, within, back } => self.workers[worker as usize].leave(within, back, cx),
            Action::PreemptWorker { worker, notice, back } => self.preempt_worker(worker, notice, back),
            Action::WipeWorker { worker } => self.workers[worker as usize].wipe(cx),
            Action::BreakLink { worker } => self.workers[worker as usize].break_link(cx),
            Action::CrashCoordinator { coordinator, restart } => {
                self.coordinators[coordinator as usize].crash(restart, cx);
            }
            Action::PauseCoordinator { coordinator, lasts } => self.pause_coordinator(coordinator, lasts),
            Action::Partition { cut, lasts } => {
                cx.net.cut(cut);
                self.after(lasts, Relief::Mend { cut });
            }
            Action::StoreDown { lasts } => {
                cx.judge.store_is_down(lasts);
                self.store.down += 1;
                self.after(lasts, Relief::StoreUp);
            }
            Action::LocationDown { lasts } => {
                self.location.down += 1;
                self.after(lasts, Relief::LocationUp);
            }
        }
    }

    fn after(&mut self, lasts: Duration, relief: Relief) {
        self.cx.agenda.plan(self.cx.now + lasts, Event::Relief(relief));
    }

    fn pause_worker(&mut self, index: u32, lasts: Duration) {
        let worker = &mut self.workers[index as usize];
        if worker.process.is_some() && worker.paused.is_none() {
            worker.paused = Some(VecDeque::new());
            self.after(lasts, Relief::ResumeWorker { index });
        }
    }

    fn pause_coordinator(&mut self, index: u32, lasts: Duration) {
        let coordinator = &mut self.coordinators[index as usize];
        if coordinator.is_up && coordinator.paused.is_none() {
            coordinator.paused = Some(VecDeque::new());
            self.after(lasts, Relief::ResumeCoordinator { index });
        }
    }

    fn preempt_worker(&mut self, index: u32, notice: Duration, back: Option<Duration>) {
        let worker = &mut self.workers[index as usize];
        worker.leave(Some(notice), back, &mut self.cx);
        let life = worker.life;
        self.after(notice, Relief::KillWorker { index, life, restart: back });
    }

    pub(super) fn relieve(&mut self, relief: Relief) {
        match relief {
            Relief::StartWorker { index } => self.workers[index as usize].start(&mut self.cx),
            Relief::ResumeWorker { index } => self.resume_worker(index),
            Relief::StartCoordinator { index } => self.coordinators[index as usize].start(&mut self.cx),
            Relief::ResumeCoordinator { index } => self.resume_coordinator(index),
            Relief::Mend { cut } => {
                log!(self.cx, "{cut:?} is mended");
                self.cx.mend(cut);
            }
            Relief::StoreUp => self.store.down = self.store.down.saturating_sub(1),
            Relief::LocationUp => self.location.down = self.location.down.saturating_sub(1),
            Relief::KillWorker { index, life, restart } => {
                let worker = &mut self.workers[index as usize];
                if worker.life == life {
                    worker.crash(true, restart, &mut self.cx);
                }
            }
        }
    }

    /// A paused process goes through what came meanwhile, one after the other, and what comes now waits behind it.
    fn resume_worker(&mut self, index: u32) {
        let worker = &mut self.workers[index as usize];
        let Some(mut waiting) = worker.paused.take() else { return };
        let Some(event) = waiting.pop_front() else { return log!(self.cx, "w{index} goes on") };
        let life = worker.life;
        self.handle(event);
        let worker = &mut self.workers[index as usize];
        if worker.life == life {
            worker.paused = Some(waiting);
            self.cx.agenda.plan(self.cx.now + CATCH_UP, Event::Relief(Relief::ResumeWorker { index }));
        }
    }

    fn resume_coordinator(&mut self, index: u32) {
        let coordinator = &mut self.coordinators[index as usize];
        let Some(mut waiting) = coordinator.paused.take() else { return };
        let Some(event) = waiting.pop_front() else { return log!(self.cx, "c{index} goes on") };
        let life = coordinator.life;
        self.handle(event);
        let coordinator = &mut self.coordinators[index as usize];
        if coordinator.life == life {
            coordinator.paused = Some(waiting);
            self.cx.agenda.plan(self.cx.now + CATCH_UP, Event::Relief(Relief::ResumeCoordinator { index }));
        }
    }

    /// Everything is repaired and nothing fails by chance any more.
    pub(super) fn heal(&mut self) {
        log!(self.cx, "everything is repaired");
        self.cx.is_healed = true;
        self.cx.faults = Faults::default();
        self.cx.mend_all();
        (self.store.down, self.location.down) = (0, 0);
        for index in 0..self.coordinators.len() {
            self.resume_coordinator(index as u32);
            self.coordinators[index].start(&mut self.cx);
        }
        for index in 0..self.workers.len() {
            self.resume_worker(index as u32);
            self.workers[index].start(&mut self.cx);
        }
    }
}
