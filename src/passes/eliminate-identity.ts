/**
 * `y = Identity(x)`: every use of y becomes a use of x.
 *
 * Hazards: an output slot cannot take an input, an initializer, a value of an outer graph or one that fills another
 * slot already (it would be written as an Identity again), so the node stays for that slot, and only for it.
 */
import { Graph } from '../ir/graph.ts';
import { canTakeOutputSlots } from './graph-tools.ts';
import { rewrite } from './pass.ts';

export const eliminateIdentity = rewrite({
  name: 'eliminate-identity',
  summary: 'remove Identity nodes',
  worksInFunctions: true,
  ops: ['Identity'],
  apply(node, context) {
    const [input] = node.inputs;
    const output = node.outputs[0];
    const { graph } = node;
    if (input === undefined || output === undefined || graph === undefined) {
      return context.decline('Identity of an omitted value', node);
    }
    if (context.isPinned(output)) return context.decline('an annotation refers to the output', node);
    if (canTakeOutputSlots(input, output)) {
      input.type ??= output.type;
      output.replaceAllUsesWith(input);
      graph.remove(node);
      return true;
    }
    const inner = output.uses.filter(({ user }) => !(user instanceof Graph));
    if (inner.length === 0) return context.decline('a graph output needs the copy', node);
    for (const { user, index } of inner) user.setOperand(index, input);
    return true;
  },
});
