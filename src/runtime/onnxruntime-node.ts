/** ONNX Runtime through its Node.js binding, each model in a process of its own. */
import { OrthoError } from '../core/errors.ts';
import { openIsolatedSession, SessionHost } from './isolated.ts';
import type { Runtime } from './session.ts';

export const onnxruntimeNode: Runtime = {
  name: 'onnxruntime-node',
  summary: 'ONNX Runtime on the CPU',
  available: async () => {
    const host = new SessionHost();
    try {
      await host.version();
      return true;
    } catch (error) {
      if (error instanceof OrthoError) return error.message;
      throw error;
    } finally {
      await host.close();
    }
  },
  open: openIsolatedSession,
  start: (limits) => new SessionHost(limits),
};
